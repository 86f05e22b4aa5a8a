"""The wallet: an HTTP pass-through that holds before a paid call and settles after it.

Needs the extra ``run``. ``budgetledger run`` starts one for a program; ``budgetledger serve
--wallet`` keeps one running. Imports words, apis, responses, ledger, and clients.

`upstreams` (where requests go, and the variables that name the wallet instead) · `keys` (stand-in
keys) · `gate` (which requests are admitted, and for whom) · `exchange` (a request, its client,
its answer) · `encodings` (compressed bodies) · `request_fields` (a body's fields) · `forwarding`
(the request to a provider) · `answers` (reads an answer while it passes) · `holding` (takes the
hold) · `recording` (settles it) · `calls` (one metered call, from hold to settle) · `refusals`
(what a refused person reads) · `bill` (what a run cost) · `app` (the ASGI application) · `server`
(runs it beside a program) · `programs` (a program's environment and arguments) · `running` (a
program with its wallet).
"""
