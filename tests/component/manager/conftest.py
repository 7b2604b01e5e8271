"""What the manager's tests share."""

import pytest

from support.apiserver import Api, Play
from support.played_tenant import Story, Tell, tenant_on


@pytest.fixture
def tell(play: Play) -> Tell:
    """Runs a story of one tenant on the API server of the case."""

    def on_server(story: Story) -> None:
        async def scenario(api: Api) -> None:
            async with tenant_on(api) as tenant:
                await story(tenant)

        play(scenario)

    return on_server
