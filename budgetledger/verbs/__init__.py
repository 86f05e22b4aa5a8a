"""The verbs of a ledger: checks, one transaction, warnings.

Imports words, pricing, storage and journal. By what a caller asks for:
    hold_requests       hold, can_afford, holds
    waiting             hold(wait=): the line of holds that wait for room, and its thread
    charging            charge, adjust
    charging_many       charge_many
    default_budgets     set_default_budget, remove_default_budget, default_budgets
    price_terms         set_price, remove_price
    repricing           reprice
    balances            balance, model_costs
    listing             accounts, entries, alerts
    rehearsing          an operation that is rolled back, for --dry-run
    copying             backup, and the command copy
    remarks             warnings about a row, once it is durable
    awaiting            the same transactions, awaited
"""
