"""The checker: it names the mistake behind a refusal. It tries what the request path never does, and accepts nothing.

diagnosis   what it says: Finding, Step, Diagnosis, and the veil over what must not be said
case        what is looked at, gathered once: the gate's own decision, the keys, the claims
steps       the steps of a token's way, each with what was expected and what was found
variants    the keys that integrators make of a secret by mistake
keys, claims, hashes, origins   the mistakes of each kind
diagnose    all of it for one token or hash
url         what a browser finds at a URL
"""
