"""`chartwire init`: an installation for real patients: settings, keys, units, the first organisation and its key."""

import argparse
import os
import sys
from pathlib import Path

from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.initial import deployment
from chartwire.app.initial.plan import Plan, make_plan
from chartwire.app.initial.questions import ALL, Question, answered
from chartwire.app.initial.steps import DEPLOYMENT, Step, carry_out
from chartwire.core.clock import now

_AS_ROOT = (
    "run as root: the units give a service no right to change its user, which the database under root needs, and will "
    "not start. Make a user of its own (`useradd --system chartwire`) and run this as that user (how-to/install)"
)


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire init`. `--config` names the settings file to make, in the data directory by default."""
    common_arguments(parser)
    default = Path(os.environ.get("CHARTWIRE_DATA_DIR", ".chartwire"))
    parser.add_argument("--data-dir", type=Path, default=default, metavar="DIR", help="where everything is kept")
    for question in ALL:
        _add(parser, question)
    parser.add_argument("--non-interactive", action="store_true", help="ask nothing; what is not said is as by default")
    parser.add_argument("--print", action="store_true", help="print units and container file; make nothing")
    parser.set_defaults(run=run)


def _add(parser: argparse.ArgumentParser, question: Question) -> None:
    action = "append" if question.many else "store"
    parser.add_argument(question.option, action=action, metavar=question.metavar, help=question.meaning)


def run(args: argparse.Namespace) -> int:
    """The command: 0 when the installation is there, made now or before; run again it changes nothing."""
    asks = sys.stdin.isatty() and not args.non_interactive and not args.json and not args.print
    said = answered(vars(args), input if asks else None)
    plan = make_plan(said, args.data_dir, args.config, now())
    if args.print:
        files = deployment.render(plan.settings, plan.config)
        console.say(args, files, "\n".join(f"# ---- {name}\n{text}" for name, text in files.items()))
        return console.OK
    steps = list(carry_out(plan, lambda line: print(line, file=sys.stderr, flush=True)))
    warnings = [*plan.warnings, *([_AS_ROOT] if os.getuid() == 0 else [])]
    console.say(args, _as_data(plan, steps, warnings), _text(plan, steps, warnings))
    return console.OK


def _as_data(plan: Plan, steps: list[Step], warnings: list[str]) -> dict[str, object]:
    found = {step.what: {"value": step.value, "made": step.made} for step in steps}
    return {"config": str(plan.config), "data_dir": str(plan.settings.data_dir), "steps": found, "warnings": warnings}


def _text(plan: Plan, steps: list[Step], warnings: list[str]) -> str:
    lines = [f"{'made ' if step.made else 'there'}  {step.what:<20}{step.value}" for step in steps]
    if any(step.what == "owner key" and step.made for step in steps):
        lines.append("The owner key is shown this once: keep it where you keep secrets.")
    lines += ["", *(f"warning: {one}" for one in warnings), *([""] if warnings else [])]
    unit = plan.settings.data_dir / DEPLOYMENT / deployment.UNITS[0]
    return "\n".join(
        [
            *lines,
            f"Start it:       chartwire up --config {plan.config}",
            f"As a service:   sudo install -m 644 {unit} /etc/systemd/system/ && sudo systemctl enable --now chartwire",
            f"Is it safe:     chartwire doctor --production --config {plan.config}",
        ]
    )
