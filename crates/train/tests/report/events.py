"""Makes `events.tfevents` with TensorBoard's own classes: pip install tensorboard.

python events.py             writes the file
python events.py FOLDER      reads the event files below a folder with TensorBoard and prints their scalars
"""
import pathlib
import sys

if len(sys.argv) > 1:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for file in sorted(pathlib.Path(sys.argv[1]).rglob("*tfevents*")):
        events = EventAccumulator(str(file), size_guidance={"scalars": 0}).Reload()
        print(file.parent.name)
        for tag in events.Tags()["scalars"]:
            points = events.Scalars(tag)
            first, last = points[0], points[-1]
            print(f"  {tag}: {len(points)} points, {first.value:.6g} at {first.step} to {last.value:.6g} at {last.step}")
    sys.exit()

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

value = Summary.Value
events = [
    Event(file_version="brain.Event:2"),
    Event(wall_time=300.0, step=300, summary=Summary(value=[value(tag="loss", simple_value=0.5)])),
    Event(wall_time=300.0, step=300, summary=Summary(value=[value(tag="grad_norm/w", simple_value=float("nan"))])),
]
with open(pathlib.Path(__file__).parent / "events.tfevents", "wb") as file:
    writer = RecordWriter(file)
    for event in events:
        # An event without a time has none in the file.
        writer.write(event.SerializeToString())
