"""Which window holds a moment: cases worked out by hand from the zones' rules, and properties."""

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from budgetledger.errors import InvalidPeriod
from budgetledger.windows import UNITS, Period, Window, from_us, make_period, to_us, window_at


def us(text):
    return None if text == "-" else to_us(datetime.fromisoformat(text))


def period(text):
    """``week/sunday Europe/Berlin from 2024-03-20T09:00+01:00`` as a `Period`."""
    cut, _, anchor = text.partition(" from ")
    unit, zone = cut.split()
    unit, _, week_start = unit.partition("/")
    return make_period(
        unit,
        timezone=zone,
        week_start=week_start or "monday",
        anchor_us=us(anchor) if anchor else None,
    )


# Period, moment, first moment of its window, first moment after it ("-": unbounded). Each line
# of times is written with the offset that the zone's clock has then.
CALENDAR = """
minute UTC
    2024-06-01T12:34:56.789Z          2024-06-01T12:34Z            2024-06-01T12:35Z
    1969-12-31T23:59:59.999999Z       1969-12-31T23:59Z            1970-01-01T00:00Z
hour UTC
    2024-06-01T12:00Z                 2024-06-01T12:00Z            2024-06-01T13:00Z
    2024-06-01T11:59:59.999999Z       2024-06-01T11:00Z            2024-06-01T12:00Z
day UTC
    2024-06-01T00:00Z                 2024-06-01T00:00Z            2024-06-02T00:00Z
    2024-05-31T23:59:59.999999Z       2024-05-31T00:00Z            2024-06-01T00:00Z
    2024-02-28T12:00Z                 2024-02-28T00:00Z            2024-02-29T00:00Z
    2028-02-29T12:00Z                 2028-02-29T00:00Z            2028-03-01T00:00Z
    2000-02-28T12:00Z                 2000-02-28T00:00Z            2000-02-29T00:00Z
    2100-02-28T12:00Z                 2100-02-28T00:00Z            2100-03-01T00:00Z
    2024-12-31T23:59:59.999999Z       2024-12-31T00:00Z            2025-01-01T00:00Z
month UTC
    2024-01-31T23:59:59.999999Z       2024-01-01T00:00Z            2024-02-01T00:00Z
    2024-02-01T00:00Z                 2024-02-01T00:00Z            2024-03-01T00:00Z
    2024-02-29T12:00Z                 2024-02-01T00:00Z            2024-03-01T00:00Z
    2025-02-28T12:00Z                 2025-02-01T00:00Z            2025-03-01T00:00Z
    2024-12-31T23:59:59.999999Z       2024-12-01T00:00Z            2025-01-01T00:00Z
    1969-12-31T23:59:59.999999Z       1969-12-01T00:00Z            1970-01-01T00:00Z
year UTC
    2024-12-31T23:59:59.999999Z       2024-01-01T00:00Z            2025-01-01T00:00Z
    2025-01-01T00:00Z                 2025-01-01T00:00Z            2026-01-01T00:00Z

# 1 January 2024 was a Monday.
week/monday UTC
    2024-01-03T12:00Z                 2024-01-01T00:00Z            2024-01-08T00:00Z
    2024-01-07T23:59:59.999999Z       2024-01-01T00:00Z            2024-01-08T00:00Z
    2024-01-08T00:00Z                 2024-01-08T00:00Z            2024-01-15T00:00Z
    1969-12-31T12:00Z                 1969-12-29T00:00Z            1970-01-05T00:00Z
week/sunday UTC
    2024-01-03T12:00Z                 2023-12-31T00:00Z            2024-01-07T00:00Z
    2024-01-06T23:59:59.999999Z       2023-12-31T00:00Z            2024-01-07T00:00Z
    2024-01-07T00:00Z                 2024-01-07T00:00Z            2024-01-14T00:00Z
week/saturday UTC
    2024-01-03T12:00Z                 2023-12-30T00:00Z            2024-01-06T00:00Z
    2024-01-06T00:00Z                 2024-01-06T00:00Z            2024-01-13T00:00Z

# New York, 2024: 10 March 02:00 -> 03:00, 3 November 02:00 -> 01:00.
day America/New_York
    2024-03-10T12:00-04:00            2024-03-10T00:00-05:00       2024-03-11T00:00-04:00
    2024-03-11T03:59:59.999999Z       2024-03-10T00:00-05:00       2024-03-11T00:00-04:00
    2024-11-03T23:30-05:00            2024-11-03T00:00-04:00       2024-11-04T00:00-05:00
    2024-11-03T03:59:59.999999Z       2024-11-02T00:00-04:00       2024-11-03T00:00-04:00
hour America/New_York
    2024-03-10T01:59:59.999999-05:00  2024-03-10T01:00-05:00       2024-03-10T03:00-04:00
    2024-03-10T03:00-04:00            2024-03-10T03:00-04:00       2024-03-10T04:00-04:00
    2024-11-03T00:30-04:00            2024-11-03T00:00-04:00       2024-11-03T01:00-04:00
    2024-11-03T01:30-04:00            2024-11-03T01:00-04:00       2024-11-03T01:00-05:00
    2024-11-03T01:30-05:00            2024-11-03T01:00-05:00       2024-11-03T02:00-05:00
minute America/New_York
    2024-03-10T01:59:30-05:00         2024-03-10T01:59-05:00       2024-03-10T03:00-04:00
    2024-11-03T01:59:30-04:00         2024-11-03T01:59-04:00       2024-11-03T01:00-05:00
    2024-11-03T01:00:30-05:00         2024-11-03T01:00-05:00       2024-11-03T01:01-05:00
week/sunday America/New_York
    2024-03-10T00:00-05:00            2024-03-10T00:00-05:00       2024-03-17T00:00-04:00
week/monday America/New_York
    2024-03-10T12:00-04:00            2024-03-04T00:00-05:00       2024-03-11T00:00-04:00
month America/New_York
    2024-03-31T12:00-04:00            2024-03-01T00:00-05:00       2024-04-01T00:00-04:00
    2024-11-15T12:00-05:00            2024-11-01T00:00-04:00       2024-12-01T00:00-05:00
    2025-01-01T04:59:59.999999Z       2024-12-01T00:00-05:00       2025-01-01T00:00-05:00

# Berlin, 2024: 31 March 02:00 -> 03:00, 27 October 03:00 -> 02:00.
day Europe/Berlin
    2024-03-31T12:00+02:00            2024-03-31T00:00+01:00       2024-04-01T00:00+02:00
    2024-10-27T02:30+01:00            2024-10-27T00:00+02:00       2024-10-28T00:00+01:00
hour Europe/Berlin
    2024-03-31T01:30+01:00            2024-03-31T01:00+01:00       2024-03-31T03:00+02:00
    2024-10-27T02:30+02:00            2024-10-27T02:00+02:00       2024-10-27T02:00+01:00
    2024-10-27T02:00+01:00            2024-10-27T02:00+01:00       2024-10-27T03:00+01:00
week/monday Europe/Berlin
    2024-10-27T23:00+01:00            2024-10-21T00:00+02:00       2024-10-28T00:00+01:00
month Europe/Berlin
    2024-10-31T22:59:59.999999Z       2024-10-01T00:00+02:00       2024-11-01T00:00+01:00
year Europe/Berlin
    2024-07-01T00:00+02:00            2024-01-01T00:00+01:00       2025-01-01T00:00+01:00

# Sydney, 2024: 7 April 03:00 -> 02:00, 6 October 02:00 -> 03:00.
day Australia/Sydney
    2024-04-07T12:00+10:00            2024-04-07T00:00+11:00       2024-04-08T00:00+10:00
    2024-10-06T12:00+11:00            2024-10-06T00:00+10:00       2024-10-07T00:00+11:00
hour Australia/Sydney
    2024-04-07T02:30+11:00            2024-04-07T02:00+11:00       2024-04-07T02:00+10:00
    2024-10-06T01:30+10:00            2024-10-06T01:00+10:00       2024-10-06T03:00+11:00
month Australia/Sydney
    2024-04-15T00:00+10:00            2024-04-01T00:00+11:00       2024-05-01T00:00+10:00
    2024-10-15T00:00+11:00            2024-10-01T00:00+10:00       2024-11-01T00:00+11:00

# Lord Howe changes by half an hour, 2024: 7 April 02:00 -> 01:30, 6 October 02:00 -> 02:30.
day Australia/Lord_Howe
    2024-04-07T01:45+10:30            2024-04-07T00:00+11:00       2024-04-08T00:00+10:30
    2024-10-06T02:30+11:00            2024-10-06T00:00+10:30       2024-10-07T00:00+11:00
hour Australia/Lord_Howe
    2024-04-07T01:45+11:00            2024-04-07T01:00+11:00       2024-04-07T02:00+10:30
    2024-04-07T01:45+10:30            2024-04-07T01:00+11:00       2024-04-07T02:00+10:30
    2024-04-07T02:15+10:30            2024-04-07T02:00+10:30       2024-04-07T03:00+10:30
    2024-10-06T01:45+10:30            2024-10-06T01:00+10:30       2024-10-06T02:30+11:00
    2024-10-06T02:45+11:00            2024-10-06T02:30+11:00       2024-10-06T03:00+11:00
minute Australia/Lord_Howe
    2024-04-07T01:59:30+11:00         2024-04-07T01:59+11:00       2024-04-07T01:30+10:30
    2024-10-06T01:59:30+10:30         2024-10-06T01:59+10:30       2024-10-06T02:30+11:00

# Cairo, 2024: Friday 26 April 00:00 -> 01:00, Thursday 31 October 24:00 -> 23:00.
day Africa/Cairo
    2024-04-25T12:00+02:00            2024-04-25T00:00+02:00       2024-04-26T01:00+03:00
    2024-04-26T01:00+03:00            2024-04-26T01:00+03:00       2024-04-27T00:00+03:00
    2024-10-31T23:30+02:00            2024-10-31T00:00+03:00       2024-11-01T00:00+02:00
hour Africa/Cairo
    2024-10-31T23:30+03:00            2024-10-31T23:00+03:00       2024-10-31T23:00+02:00
    2024-04-25T23:30+02:00            2024-04-25T23:00+02:00       2024-04-26T01:00+03:00
week/friday Africa/Cairo
    2024-04-28T12:00+03:00            2024-04-26T01:00+03:00       2024-05-03T00:00+03:00
month Africa/Cairo
    2024-10-31T23:59:59.999999+02:00  2024-10-01T00:00+03:00       2024-11-01T00:00+02:00

# Santiago, 2024: 6 April 24:00 -> 23:00, 8 September 00:00 -> 01:00.
day America/Santiago
    2024-04-06T23:30-04:00            2024-04-06T00:00-03:00       2024-04-07T00:00-04:00
    2024-09-07T23:59:59.999999-04:00  2024-09-07T00:00-04:00       2024-09-08T01:00-03:00
    2024-09-08T01:00-03:00            2024-09-08T01:00-03:00       2024-09-09T00:00-03:00
# Beirut, 2024: 31 March 00:00 -> 01:00, 26 October 24:00 -> 23:00.
day Asia/Beirut
    2024-03-30T12:00+02:00            2024-03-30T00:00+02:00       2024-03-31T01:00+03:00
    2024-10-26T23:30+02:00            2024-10-26T00:00+03:00       2024-10-27T00:00+02:00
# Havana shows midnight twice: 3 November 2024 and 1 November 2015, 01:00 -> 00:00.
day America/Havana
    2024-11-03T00:30-04:00            2024-11-03T00:00-04:00       2024-11-04T00:00-05:00
    2024-11-03T00:00-05:00            2024-11-03T00:00-04:00       2024-11-04T00:00-05:00
    2024-11-02T23:59:59.999999-04:00  2024-11-02T00:00-04:00       2024-11-03T00:00-04:00
month America/Havana
    2015-11-01T00:30-05:00            2015-11-01T00:00-04:00       2015-12-01T00:00-05:00
# St. John's, 7 November 2010, 00:01 -> 23:01: the 7th has begun when the 6th is shown again.
day America/St_Johns
    2010-11-06T23:30-02:30            2010-11-06T00:00-02:30       2010-11-07T00:00-02:30
    2010-11-06T23:30-03:30            2010-11-07T00:00-02:30       2010-11-08T00:00-03:30
# Asunción skipped the first hour of October 2017: 00:00 -> 01:00.
month America/Asuncion
    2017-09-30T23:00-04:00            2017-09-01T00:00-04:00       2017-10-01T01:00-03:00
    2017-10-01T01:00-03:00            2017-10-01T01:00-03:00       2017-11-01T00:00-03:00

# Apia had no 30 December 2011 (a Friday), Kwajalein no 21 August 1993.
day Pacific/Apia
    2011-12-29T12:00-10:00            2011-12-29T00:00-10:00       2011-12-31T00:00+14:00
    2011-12-31T00:00+14:00            2011-12-31T00:00+14:00       2012-01-01T00:00+14:00
hour Pacific/Apia
    2011-12-29T23:30-10:00            2011-12-29T23:00-10:00       2011-12-31T00:00+14:00
week/friday Pacific/Apia
    2011-12-29T12:00-10:00            2011-12-23T00:00-10:00       2011-12-31T00:00+14:00
    2011-12-31T12:00+14:00            2011-12-31T00:00+14:00       2012-01-06T00:00+14:00
day Pacific/Kwajalein
    1993-08-20T12:00-12:00            1993-08-20T00:00-12:00       1993-08-22T00:00+12:00

# Far east, far west, and quarters of an hour.
year Pacific/Kiritimati
    2024-12-31T09:59:59.999999Z       2024-01-01T00:00+14:00       2025-01-01T00:00+14:00
    2024-12-31T10:00Z                 2025-01-01T00:00+14:00       2026-01-01T00:00+14:00
month Pacific/Pago_Pago
    2025-01-01T10:59:59.999999Z       2024-12-01T00:00-11:00       2025-01-01T00:00-11:00
    2025-01-01T11:00Z                 2025-01-01T00:00-11:00       2025-02-01T00:00-11:00
hour Asia/Kathmandu
    2024-06-01T06:20Z                 2024-06-01T12:00+05:45       2024-06-01T13:00+05:45
    2024-06-01T06:14:59.999999Z       2024-06-01T11:00+05:45       2024-06-01T12:00+05:45
day Asia/Kathmandu
    2024-05-31T18:15Z                 2024-06-01T00:00+05:45       2024-06-02T00:00+05:45
day Asia/Kolkata
    2024-06-01T18:29:59.999999Z       2024-06-01T00:00+05:30       2024-06-02T00:00+05:30
    2024-06-01T18:30Z                 2024-06-02T00:00+05:30       2024-06-03T00:00+05:30

# The ends of the calendar. Before standard time New York's clock was 4:56:02 behind.
day UTC
    0001-01-01T00:00Z                 0001-01-01T00:00Z            0001-01-02T00:00Z
    9999-12-31T12:00Z                 9999-12-31T00:00Z            -
week/sunday UTC
    0001-01-01T00:00Z                 -                            0001-01-07T00:00Z
year UTC
    9999-06-01T00:00Z                 9999-01-01T00:00Z            -
month America/New_York
    0001-01-01T00:00Z                 -                            0001-01-01T00:00-04:56:02
month Pacific/Kiritimati
    9999-12-31T23:59:59.999999Z       9999-12-01T00:00+14:00       -
"""

ANCHORED = """
month UTC from 2024-01-31T00:00Z
    2024-01-31T00:00Z                 2024-01-31T00:00Z            2024-02-29T00:00Z
    2024-02-28T23:59:59.999999Z       2024-01-31T00:00Z            2024-02-29T00:00Z
    2024-02-29T00:00Z                 2024-02-29T00:00Z            2024-03-31T00:00Z
    2024-04-10T00:00Z                 2024-03-31T00:00Z            2024-04-30T00:00Z
    2025-02-28T12:00Z                 2025-02-28T00:00Z            2025-03-31T00:00Z
    2024-01-30T23:59:59.999999Z       2023-12-31T00:00Z            2024-01-31T00:00Z
    2023-02-28T00:00Z                 2023-02-28T00:00Z            2023-03-31T00:00Z
year UTC from 2024-02-29T12:00Z
    2024-06-01T00:00Z                 2024-02-29T12:00Z            2025-02-28T12:00Z
    2025-02-28T12:00Z                 2025-02-28T12:00Z            2026-02-28T12:00Z
    2028-02-29T11:59:59.999999Z       2027-02-28T12:00Z            2028-02-29T12:00Z
    2028-02-29T12:00Z                 2028-02-29T12:00Z            2029-02-28T12:00Z
    2023-03-01T00:00Z                 2023-02-28T12:00Z            2024-02-29T12:00Z
    2099-06-01T00:00Z                 2099-02-28T12:00Z            2100-02-28T12:00Z
    9999-06-01T00:00Z                 9999-02-28T12:00Z            -
    0001-01-01T00:00Z                 -                            0001-02-28T12:00Z
minute UTC from 2024-01-01T00:00:30Z
    2023-12-31T23:59:10Z              2023-12-31T23:58:30Z         2023-12-31T23:59:30Z
day UTC from 2024-01-01T00:00:00.000001Z
    2024-02-01T00:00Z                 2024-01-31T00:00:00.000001Z  2024-02-01T00:00:00.000001Z
week/sunday UTC from 2024-01-03T00:00Z
    2024-01-09T12:00Z                 2024-01-03T00:00Z            2024-01-10T00:00Z
week Europe/Berlin from 2024-03-20T09:00+01:00
    2024-04-01T12:00+02:00            2024-03-27T09:00+01:00       2024-04-03T09:00+02:00
    2024-03-13T08:59+01:00            2024-03-06T09:00+01:00       2024-03-13T09:00+01:00
# The local date is what steps: this is 31 January 01:30 in Kolkata.
month Asia/Kolkata from 2024-01-30T20:00Z
    2024-03-15T00:00+05:30            2024-02-29T01:30+05:30       2024-03-31T01:30+05:30

# 02:30 was skipped on 10 March 2024; 01:30 came twice on 3 November 2024, and in 2019.
day America/New_York from 2024-03-09T02:30-05:00
    2024-03-10T01:59-05:00            2024-03-09T02:30-05:00       2024-03-10T03:00-04:00
    2024-03-10T12:00-04:00            2024-03-10T03:00-04:00       2024-03-11T02:30-04:00
month America/New_York from 2024-01-10T02:30-05:00
    2024-03-20T00:00-04:00            2024-03-10T03:00-04:00       2024-04-10T02:30-04:00
day America/New_York from 2024-11-01T01:30-04:00
    2024-11-03T01:15-05:00            2024-11-03T01:30-04:00       2024-11-04T01:30-05:00
    2024-11-03T01:45-05:00            2024-11-03T01:30-04:00       2024-11-04T01:30-05:00
day America/New_York from 2024-11-03T01:30-05:00
    2024-11-03T01:45-04:00            2024-11-02T01:30-04:00       2024-11-03T01:30-05:00
    2024-11-03T01:30-05:00            2024-11-03T01:30-05:00       2024-11-04T01:30-05:00
year America/New_York from 2024-11-03T01:30-05:00
    2020-01-01T00:00-05:00            2019-11-03T01:30-04:00       2020-11-03T01:30-05:00
day Pacific/Apia from 2011-12-28T12:00-10:00
    2011-12-29T20:00-10:00            2011-12-29T12:00-10:00       2011-12-31T00:00+14:00
    2011-12-31T06:00+14:00            2011-12-31T00:00+14:00       2011-12-31T12:00+14:00
# Here the boundaries of the 30th and of the 31st are one and the same instant.
day Pacific/Apia from 2011-12-28T00:00-10:00
    2011-12-29T12:00-10:00            2011-12-29T00:00-10:00       2011-12-31T00:00+14:00
    2011-12-31T06:00+14:00            2011-12-31T00:00+14:00       2012-01-01T00:00+14:00

# Anchored hours are elapsed time.
hour America/New_York from 2024-11-03T00:15-04:00
    2024-11-03T01:00-05:00            2024-11-03T01:15-04:00       2024-11-03T01:15-05:00
    2024-11-03T01:20-05:00            2024-11-03T01:15-05:00       2024-11-03T02:15-05:00
hour Australia/Lord_Howe from 2024-04-06T23:45+11:00
    2024-04-07T01:50+10:30            2024-04-07T01:45+11:00       2024-04-07T02:15+10:30
"""


def cases(table):
    cut = None
    for line in table.splitlines():
        if line.startswith(" "):
            moment, start, end = line.split()
            yield pytest.param(cut, moment, start, end, id=f"{cut} at {moment}")
        elif line and not line.startswith("#"):
            cut = line


@pytest.mark.parametrize(("cut", "moment", "start", "end"), [*cases(CALENDAR), *cases(ANCHORED)])
def test_window(cut, moment, start, end):
    p = period(cut)
    window = window_at(p, us(moment))
    shown = [when and when.isoformat() for when in (window.start, window.end)]
    expected = [None if text == "-" else datetime.fromisoformat(text) for text in (start, end)]
    # As text too: this compares the offsets, and so the zone and the fold.
    assert shown == [when and when.isoformat() for when in expected]
    assert window == Window(us(start), us(end), p.timezone)


@pytest.mark.parametrize(
    ("span", "moment", "start", "end"),
    [
        (
            timedelta(days=30),
            "2024-03-10T12:00Z",
            "2024-02-09T12:00Z",
            "2024-03-10T12:00:00.000001Z",
        ),
        (
            timedelta(hours=24),
            "2024-03-10T12:00Z",
            "2024-03-09T12:00Z",
            "2024-03-10T12:00:00.000001Z",
        ),
        (
            timedelta(microseconds=1),
            "1970-01-01T00:00Z",
            "1969-12-31T23:59:59.999999Z",
            "1970-01-01T00:00:00.000001Z",
        ),
        (timedelta(days=2), "0001-01-02T00:00Z", "-", "0001-01-02T00:00:00.000001Z"),
        (timedelta(days=1), "9999-12-31T23:59:59.999999Z", "9999-12-30T23:59:59.999999Z", "-"),
    ],
)
def test_rolling_window_counts_back_from_the_moment_which_is_inside(span, moment, start, end):
    assert window_at(make_period(span), us(moment)) == Window(us(start), us(end))


def test_rolling_day_is_24_hours_whatever_the_clock_does():
    window = window_at(
        make_period(timedelta(days=1), timezone="America/New_York"), us("2024-03-10T12:00-04:00")
    )
    assert window.start is not None
    assert window.start.isoformat() == "2024-03-09T11:00:00-05:00"


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00Z", "2024-06-01T12:00Z", "9999-12-31T23:59:59.999999Z"]
)
def test_without_a_period_there_is_one_window_for_ever(moment):
    window = window_at(make_period(), us(moment))
    assert window == Window(None, None)
    assert window.start is None
    assert window.end is None


# Zones, each with moments at which its clock was or will be changed.
CHANGES = {
    "UTC": (),
    "America/New_York": ("2024-03-10T07:00Z", "2024-11-03T06:00Z", "2090-03-12T07:00Z"),
    "Europe/Berlin": ("2024-03-31T01:00Z", "2024-10-27T01:00Z"),
    "Europe/Dublin": ("2024-03-31T01:00Z", "2024-10-27T01:00Z"),
    "Australia/Sydney": ("2024-04-06T16:00Z", "2024-10-05T16:00Z"),
    "Australia/Lord_Howe": ("2024-04-06T15:00Z", "2024-10-05T15:30Z"),
    "Africa/Cairo": ("2024-04-25T22:00Z", "2024-10-31T21:00Z"),
    "Africa/Casablanca": ("2024-03-10T02:00Z", "2024-04-14T02:00Z"),
    "America/Santiago": ("2024-04-07T03:00Z", "2024-09-08T04:00Z"),
    "America/Havana": ("2024-03-10T05:00Z", "2024-11-03T05:00Z"),
    "America/Asuncion": ("2017-10-01T04:00Z", "2018-03-25T03:00Z"),
    "America/St_Johns": ("2010-03-14T03:31Z", "2010-11-07T02:31Z"),
    "Asia/Beirut": ("2024-03-30T22:00Z", "2024-10-26T21:00Z"),
    "Asia/Kathmandu": ("1985-12-31T18:30Z",),
    "Asia/Pyongyang": ("2015-08-14T15:00Z", "2018-05-04T15:00Z"),
    "Pacific/Apia": ("2011-12-30T10:00Z",),
    "Pacific/Kiritimati": ("1994-12-31T10:00Z",),
    "Antarctica/Troll": ("2024-03-31T01:00Z", "2024-10-27T01:00Z"),
}
DAY_US = 24 * 3600 * 10**6
ANY_TIME = st.integers(us("1975-01-01T00:00Z"), us("2099-12-31T00:00Z"))


@st.composite
def moments(draw, zone):
    if CHANGES[zone] and draw(st.booleans()):
        change = us(draw(st.sampled_from(CHANGES[zone])))
        near = draw(st.sampled_from([60 * 10**6, 2 * 3600 * 10**6, 2 * DAY_US]))
        return change + draw(st.integers(-near, near))
    return draw(ANY_TIME)


@st.composite
def periods_and_moments(draw, anchored=True):
    zone = draw(st.sampled_from(sorted(CHANGES)))
    anchor = draw(st.none() | moments(zone)) if anchored else None
    p = make_period(
        draw(st.sampled_from(UNITS)),
        timezone=zone,
        week_start=draw(st.integers(0, 6)),
        anchor_us=anchor,
    )
    return p, draw(moments(zone))


@settings(deadline=None, max_examples=500)
@given(periods_and_moments())
def test_windows_cover_time_without_gap_or_overlap(case):
    p, moment = case
    window = window_at(p, moment)
    assert window.start_us is not None
    assert window.end_us is not None
    assert window.start_us <= moment < window.end_us
    assert window_at(p, window.start_us) == window
    assert window_at(p, window.end_us - 1) == window
    assert window_at(p, window.end_us).start_us == window.end_us
    assert window_at(p, window.start_us - 1).end_us == window.start_us


@settings(deadline=None, max_examples=500)
@given(periods_and_moments())
def test_moments_share_a_window_or_have_windows_apart(case):
    p, moment = case
    steps = (0, 1, 10**6, 60 * 10**6, 1800 * 10**6, 3600 * 10**6, DAY_US, 7 * DAY_US)
    for a, b in pairwise(window_at(p, moment + step) for step in steps):
        assert a == b or a.end_us <= b.start_us


def floor(local, p):
    """The turn of the unit at or before a local time, by its fields."""
    fields = {"minute": 0, "hour": 1, "day": 2, "week": 2, "month": 3, "year": 4}[p.per]
    zeros = [("second", 0), ("minute", 0), ("hour", 0), ("day", 1), ("month", 1)]
    local = local.replace(microsecond=0, **dict(zeros[: fields + 1]))
    if p.per == "week":
        local -= timedelta(days=(local.weekday() - p.week_start) % 7)
    return local


@settings(deadline=None, max_examples=500)
@given(periods_and_moments(anchored=False))
def test_calendar_windows_start_where_the_local_clock_turns_or_jumps_over_the_turn(case):
    p, moment = case
    window = window_at(p, moment)
    start = window.start.replace(tzinfo=None)
    before = from_us(window.start_us - 1, p.timezone).replace(tzinfo=None)
    assert floor(start, p) == start or before < floor(start, p) < start


@settings(deadline=None, max_examples=300)
@given(st.data(), st.sampled_from(sorted(CHANGES)), st.sampled_from(UNITS))
def test_an_anchor_starts_a_window_of_its_own(data, zone, unit):
    anchor = data.draw(moments(zone))
    p = make_period(unit, timezone=zone, anchor_us=anchor)
    assert window_at(p, anchor).start_us == anchor
    assert window_at(p, anchor - 1).end_us == anchor


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from([*sorted(CHANGES), "Etc/GMT+12"]),
    st.sampled_from(UNITS),
    st.sampled_from([0, 1, DAY_US // 2, DAY_US, 40 * DAY_US, 800 * DAY_US]),
    st.booleans(),
    st.none() | ANY_TIME,
)
def test_the_ends_of_the_calendar_are_reached_without_overflow(zone, unit, away, late, anchor):
    first, last = us("0001-01-01T00:00Z"), us("9999-12-31T23:59:59.999999Z")
    moment = last - away if late else first + away
    window = window_at(make_period(unit, timezone=zone, anchor_us=anchor), moment)
    assert window.start_us is None or first <= window.start_us <= moment
    assert window.end_us is None or moment < window.end_us <= last
    for when, at in ((window.start, window.start_us), (window.end, window.end_us)):
        assert at is None or to_us(when) == at


@settings(deadline=None)
@given(st.datetimes(timezones=st.sampled_from([ZoneInfo(zone) for zone in sorted(CHANGES)])))
@example(datetime(2024, 11, 3, 1, 30, tzinfo=ZoneInfo("America/New_York"), fold=1))
@example(datetime.max.replace(tzinfo=UTC))
@example(datetime.min.replace(tzinfo=UTC))
def test_microseconds_are_exact_both_ways(moment):
    at = to_us(moment)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    assert at == (delta.days * 86_400 + delta.seconds) * 10**6 + delta.microseconds
    if us("0001-01-02T00:00Z") < at < us("9999-12-30T00:00Z"):
        assert to_us(from_us(at, "Asia/Kathmandu")) == at


def test_to_us():
    assert to_us(datetime(1970, 1, 1, tzinfo=UTC)) == 0
    assert to_us(datetime(1970, 1, 1, 1, 0, 0, 1, tzinfo=timezone(timedelta(hours=1)))) == 1
    assert to_us(datetime(2001, 9, 9, 1, 46, 40, 123457, tzinfo=UTC)) == 1_000_000_000_123_457
    assert to_us(datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)) == -1


def test_from_us():
    assert from_us(0).isoformat() == "1970-01-01T00:00:00+00:00"
    assert (
        from_us(1_000_000_000_123_457, "Asia/Kathmandu").isoformat()
        == "2001-09-09T07:31:40.123457+05:45"
    )
    # Local time would be in the year 10000.
    assert (
        from_us(us("9999-12-31T23:00Z"), "Pacific/Kiritimati").isoformat()
        == "9999-12-31T23:00:00+00:00"
    )


@pytest.mark.parametrize("moment", [datetime(2024, 1, 1), date(2024, 1, 1), None, 0, "2024-01-01"])
def test_a_moment_needs_a_time_zone(moment):
    with pytest.raises(InvalidPeriod, match="time zone"):
        to_us(moment)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00+01:00", "9999-12-31T23:59-01:00"])
def test_moments_beyond_the_calendar_are_refused(moment):
    for call in (from_us, lambda at: window_at(make_period("day"), at)):
        with pytest.raises(InvalidPeriod, match="years 1 to 9999"):
            call(us(moment))


def test_make_period():
    assert make_period() == Period(None, "UTC", 0, None, None)
    assert make_period("day", timezone="Etc/GMT+5") == Period("day", "Etc/GMT+5")
    assert make_period("month", anchor_us=-1) == Period("month", anchor_us=-1)
    assert make_period(timedelta(hours=1)) == Period("rolling", span_us=3_600_000_000)
    assert make_period(timedelta(microseconds=1)).span_us == 1


@pytest.mark.parametrize(
    ("week_start", "number"),
    [("monday", 0), ("mon", 0), ("Sunday", 6), ("SAT", 5), ("thursday", 3), (0, 0), (6, 6)],
)
def test_week_start(week_start, number):
    assert make_period("week", week_start=week_start).week_start == number


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"per": "fortnight"}, "'fortnight'.*minute, hour, day, week, month, year"),
        ({"per": "Day"}, "'Day'.*minute, hour, day"),
        ({"per": ""}, "''.*timedelta"),
        ({"per": "rolling"}, "'rolling'.*timedelta"),
        ({"per": 30}, "30.*timedelta"),
        ({"per": True}, "True.*minute"),
        ({"per": ["day"]}, "minute"),
        ({"per": timedelta(microseconds=0.4)}, "timedelta\\(0\\).*more than zero"),  # rounds to 0
        ({"per": timedelta(days=-1)}, "days=-1.*more than zero"),
        ({"per": timedelta(days=9999 * 366)}, "at most 9999 years"),
        ({"per": timedelta.max}, "days=999999999.*at most 9999 years"),
        ({"timezone": "Mars/Olympus"}, "'Mars/Olympus'.*IANA.*Europe/Berlin"),
        ({"timezone": "Europe"}, "'Europe'.*IANA"),
        ({"timezone": "europe/berlin"}, "'europe/berlin'.*IANA"),
        ({"timezone": "+02:00"}, "IANA"),
        ({"timezone": ""}, "IANA"),
        ({"timezone": " UTC"}, "IANA"),
        ({"timezone": "UTC\n"}, "IANA"),
        ({"timezone": "/etc/localtime"}, "IANA"),
        ({"timezone": "../zoneinfo/UTC"}, "IANA"),
        ({"timezone": "Europe/../UTC"}, "IANA"),
        ({"timezone": "Europe\\Berlin"}, "IANA"),
        ({"timezone": "Europe/Berlin\0"}, "IANA"),
        ({"timezone": "Europe/Berlin/"}, "IANA"),
        ({"timezone": "\ud800"}, "IANA"),
        ({"timezone": "X" * 5000}, "IANA"),
        ({"timezone": "right/UTC"}, "IANA"),
        ({"timezone": "localtime"}, "IANA"),
        ({"timezone": None}, "None.*IANA"),
        ({"timezone": 2}, "2.*IANA"),
        ({"timezone": ["UTC"]}, "IANA"),
        ({"timezone": ZoneInfo("Europe/Berlin")}, "IANA"),
        ({"timezone": UTC}, "IANA"),
        ({"week_start": "moonday"}, "'moonday'.*'monday' to 'sunday'"),
        ({"week_start": "m"}, "'m'.*'monday'"),
        ({"week_start": ""}, "'monday'"),
        ({"week_start": 7}, "7.*0 \\(Monday\\) to 6"),
        ({"week_start": -1}, "-1.*0 \\(Monday\\)"),
        ({"week_start": True}, "True.*0 \\(Monday\\)"),
        ({"week_start": 1.0}, "1.0.*0 \\(Monday\\)"),
        ({"week_start": None}, "None.*0 \\(Monday\\)"),
        ({"per": "day", "anchor_us": 1.5}, "1.5.*whole microseconds"),
        ({"per": "day", "anchor_us": True}, "True.*whole microseconds"),
        ({"per": "day", "anchor_us": "0"}, "'0'.*whole microseconds"),
        ({"per": "day", "anchor_us": 10**18}, "10000.*whole microseconds"),
        ({"anchor_us": 0}, "without a unit: 0;.*per="),
        ({"per": timedelta(days=1), "anchor_us": 0}, "without a unit: 0;.*per="),
    ],
    ids=lambda value: repr(value)[:60] if isinstance(value, dict) else "",
)
def test_make_period_refuses(arguments, message):
    with pytest.raises(InvalidPeriod, match=message) as caught:
        make_period(**arguments)
    assert len(str(caught.value)) < 250
    assert ";" in str(caught.value)  # what is wrong; what to pass instead


def test_a_period_naming_an_unknown_zone_is_refused_when_used():
    with pytest.raises(InvalidPeriod, match="Mars/Olympus"):
        window_at(Period("day", "Mars/Olympus"), 0)
