"""The just-in-time configuration of one runner: decoding the blob that a registration returns.

The blob is base64 of a JSON object of file name to base64 of the file. Source: actions/runner
`src/Runner.Listener/Runner.cs` (files), `src/Runner.Common/ConfigurationStore.cs` (`.runner`),
`src/Runner.Listener/Configuration/RSAFileKeyManager.cs` (`.credentials_rsaparams`, big-endian base64 numbers).

The key is checked by p*q == n and by its exponents instead of the library's validation, which costs 50 ms per key and
guards against a dishonest maker of a key that is GitHub's own to begin with.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import rsa

from actions_gateway.github.decoding import Fields, decode_base64, parse_object
from actions_gateway.github.errors import MalformedAnswer, RegistrationUnusable
from actions_gateway.github.secrets import Secret
from actions_gateway.github.urls import secure_url

RUNNER_FILE = ".runner"
CREDENTIALS_FILE = ".credentials"
RSA_PARAMETERS_FILE = ".credentials_rsaparams"

_LARGEST_MODULUS_BYTES = 1024
"""8192 bits; more would only cost time."""


@dataclass(frozen=True, slots=True)
class JitConfig:
    """What one registered runner needs to connect, and the files that its worker needs."""

    agent_id: int
    agent_name: str
    broker_url: str
    client_id: str
    authorization_url: str
    """The audience of the client assertion, character by character."""
    token_url: str
    """Where the assertion is sent; nearly always the same."""
    requires_fips: bool
    """Whether assertions are signed with PS256 instead of RS256."""
    blob: Secret
    """The whole configuration as received, a credential: everything above can be parsed from it again."""

    # Parsed when they are needed: sessions that wait are many, and a key that has signed holds 9 KB.

    @property
    def key(self) -> rsa.RSAPrivateKey:
        """Signs the runner's assertions."""
        return _key(_object(_file(_files(self.blob.reveal()), RSA_PARAMETERS_FILE), RSA_PARAMETERS_FILE))

    @property
    def runner_file(self) -> bytes:
        """`.runner`, as the worker's installation folder holds it."""
        return _file(_files(self.blob.reveal()), RUNNER_FILE)

    @property
    def credentials_file(self) -> bytes:
        """`.credentials`: client id and URLs; without the key it opens nothing."""
        return _file(_files(self.blob.reveal()), CREDENTIALS_FILE)


def parse_jit_config(blob: str) -> JitConfig:
    """The configuration in an `encoded_jit_config`; raises RegistrationUnusable, whose text shows nothing of it."""
    problem = ""
    try:
        return _parse(blob)
    except (MalformedAnswer, ValueError, OverflowError) as failure:
        problem = str(failure)
    raise RegistrationUnusable(f"the runner's JIT configuration cannot be used: {problem}")


def _parse(blob: str) -> JitConfig:
    files = _files(blob)
    runner = _object(_file(files, RUNNER_FILE), RUNNER_FILE)
    data = _object(_file(files, CREDENTIALS_FILE), CREDENTIALS_FILE).fields("Data")
    agent_id = runner.number("AgentId")
    if agent_id is None:
        raise ValueError(f"{RUNNER_FILE} has no AgentId")
    authorization_url = secure_url(_required(data, "authorizationUrl"), "the authorization URL")
    _key(_object(_file(files, RSA_PARAMETERS_FILE), RSA_PARAMETERS_FILE))
    return JitConfig(
        agent_id=agent_id,
        agent_name=_required(runner, "AgentName"),
        broker_url=_broker_url(runner),
        client_id=_required(data, "clientId"),
        authorization_url=authorization_url,
        token_url=secure_url(data.text("oauthEndpointUrl") or authorization_url, "the OAuth endpoint URL"),
        requires_fips=data.flag("requireFipsCryptography"),
        blob=Secret(blob),
    )


def _files(blob: str) -> Fields:
    return parse_object(decode_base64(blob), "it")


def _file(files: Fields, name: str) -> bytes:
    content = files.text(name)
    if not content:
        raise ValueError(f"it holds no file {name}")
    try:
        return decode_base64(content)
    except ValueError:
        raise ValueError(f"{name} is no base64") from None


def _object(content: bytes, name: str) -> Fields:
    try:
        return parse_object(content)
    except MalformedAnswer:
        raise ValueError(f"{name} is no JSON object") from None


def _required(fields: Fields, name: str) -> str:
    text = fields.text(name)
    if not text:
        raise ValueError(f"{name} is missing")
    return text


def _broker_url(runner: Fields) -> str:
    url = runner.text("ServerUrlV2")
    if not url or not runner.flag("UseV2Flow", default=True):
        raise ValueError("this GitHub offers the runner only the legacy message service; the broker is required")
    return secure_url(url, "the broker's URL")


def _key(parameters: Fields) -> rsa.RSAPrivateKey:
    n, e, d, p, q = (_big_number(parameters, name) for name in ("modulus", "exponent", "d", "p", "q"))
    # One exponent law per prime proves that d fits; random-base or primality checks are what costs the 50 ms.
    if p <= 1 or q <= 1 or p * q != n or e < 3 or (d * e) % (p - 1) != 1 or (d * e) % (q - 1) != 1:
        raise ValueError("the numbers of its RSA key do not belong together")
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=rsa.rsa_crt_dmp1(d, p),
        dmq1=rsa.rsa_crt_dmq1(d, q),
        iqmp=pow(q, -1, p),
        public_numbers=rsa.RSAPublicNumbers(e, n),
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


def _big_number(parameters: Fields, name: str) -> int:
    text = _required(parameters, name)
    try:
        content = decode_base64(text).lstrip(b"\0")
    except ValueError:
        raise ValueError(f"{name} of its RSA key is no base64") from None
    if len(content) > _LARGEST_MODULUS_BYTES:
        raise ValueError(f"{name} of its RSA key is too large")
    return int.from_bytes(content, "big")
