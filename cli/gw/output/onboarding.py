"""What came of a new tenant."""

from rich.text import Text

from gw.checks.wording import counted
from gw.ops.onboarding.add import AddedTenant
from gw.output.changes import carried_view, dry_run_sentence
from gw.output.layout import columns, styled, unproven_lines
from gw.output.view import View


def added_tenant_view(added: AddedTenant) -> View:
    """One line for people; every object and the tenant's state for programs."""
    tenant = added.tenant
    return carried_view(
        "AddedTenant",
        added.carried,
        _sentence(added),
        short=[f"{added.carried.plan.subject} {'dry-run' if tenant is None else 'Ready'}"],
        tenant=added.carried.plan.subject,
        ready=tenant is not None and tenant.gateway.is_ready,
        gateway=tenant.gateway.name if tenant else None,
        active_sessions=sum(group.active_sessions for group in tenant.groups) if tenant else None,
        runner_groups=[group.name for group in tenant.groups] if tenant else [],
    )


def advice(added: AddedTenant) -> list[Text]:
    """What is unproven, and what to try next."""
    lines = unproven_lines(added.carried.plan.unproven)
    if added.tenant is not None:
        namespace, groups = added.carried.plan.subject, added.tenant.groups
        lines.append(styled("Try next:", "head"))
        lines += columns(
            [
                [f"gw tenant show {namespace}", "conditions, groups, workers, credential"],
                [f"gw health {namespace}", "every check"],
                *(
                    [[f"runs-on: [{', '.join(groups[0].runner_labels)}]", "in a workflow gives a job to this tenant"]]
                    if groups
                    else []
                ),
            ],
            indent="  ",
        )
    return lines


def _sentence(added: AddedTenant) -> str:
    if added.tenant is None:
        return dry_run_sentence(added.carried)
    sessions = sum(group.active_sessions for group in added.tenant.groups)
    state = f"{counted(sessions, 'session')} open for {counted(len(added.tenant.groups), 'runner group')}"
    verb = "is Ready" if added.carried.is_written else "was there already and is Ready"
    return f"Tenant {added.carried.plan.subject} {verb}: {state}."
