"""Makes coverage.py's report of what the recorder has measured. It comes on standard input, as the recorder does."""

import coverage

measurement = coverage.Coverage(data_file=None, config_file=order["settings"])  # noqa: F821
data = measurement.get_data()
data.add_arcs({path: {tuple(arc) for arc in arcs} for path, arcs in order["measured"].items()})  # noqa: F821
for path in order["measured"]:  # noqa: F821
    data.touch_file(path)
measurement.json_report(outfile=order["report"])  # noqa: F821
