"""Fields of an answer. Pure.

May import words. In reading order:

* ``by_name``: any field, of a dict or an object; counts, texts and lists among them.
* ``model_name``, ``service_tiers``: the model that answered, and the tier that served the call.
"""
