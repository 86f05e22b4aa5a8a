"""What a call costs, and at whose price. Pure: no database, no clock, no network.

May import words and tokens. In reading order:

* ``sources``: who prices a call: the user's own prices, LiteLLM's figure, the shipped list.
* ``own_rates``: the rates of a user's own price, stated, stored and applied.
* ``catalog``: the shipped list, genai-prices; the only module that imports it.
* ``hosts``: the host that a URL, a provider's name or a model's name states.
* ``model_names``: how that list may spell a model's name there.
* ``identity``: which names are one model, for budgets of a model.
* ``rates``: the arithmetic of all of them: which rate a count is billed at, and the sum.
* ``documented_rates``: what providers' pages state for their tools, and the list lacks.
* ``estimates``: what a call may cost before it is made.
"""
