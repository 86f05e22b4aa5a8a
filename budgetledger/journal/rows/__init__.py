"""What a row is, the SQL that reads and writes it, and the indexes over rows.

In reading order:
    rules               the next row, and whether a hold is granted; pure
    basis               the cost of a settle for which no price or amount is known; pure
    statements          every SQL statement, and the verbs that run it
    accounts            finds accounts and projects
    answers             totals of calls that another model answered than the one asked for
    late                rows recorded later than they belong
    prior               what a budget on the project counts of before it was set
    problem             what `verify` reports
"""
