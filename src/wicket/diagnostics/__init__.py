"""Names the mistake behind a refused token, identity hash or cross-origin request.

`diagnose` and `diagnose_url` try common mistakes that the gate never tries. They accept no token, and emit no event.

    report      the result: Finding, Step, Diagnosis; the Redactor, which withholds secrets and tokens
    case        the input of a diagnosis, the decision of the gate about it, its keys and claims
    steps       each step of the check, with what is expected and what was found
    variants    the keys that integrators make of a secret by mistake
    keys, claims, hashes, origins   the mistakes of each kind
    key_sets    fetches the remote key sets of an app
    run         the diagnosis of a token or an identity hash
    url         the diagnosis of a URL
"""

from wicket.diagnostics.report import Diagnosis, Finding, Step
from wicket.diagnostics.run import diagnose
from wicket.diagnostics.url import diagnose_url

__all__ = ["Diagnosis", "Finding", "Step", "diagnose", "diagnose_url"]
