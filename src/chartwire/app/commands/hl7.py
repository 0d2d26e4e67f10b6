"""`chartwire hl7`: send, convert, validate, get, route. None but `route` needs a database."""

import argparse
from pathlib import Path

from chartwire.app.actions import add_action

_SEVERITIES = ("error", "warning", "information")


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire hl7`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    send = add_action(actions, "send", "hl7_send", "send messages to a listener and show its answers")
    send.add_argument("files", nargs="+", type=Path, metavar="FILE", help="each holds one or more messages; - is stdin")
    send.add_argument("--host", default="127.0.0.1", help="where the listener is (default 127.0.0.1)")
    send.add_argument("--port", type=int, help="its port (default: the running sandbox's, else the setting mllp_port)")
    send.add_argument("--tls", action="store_true", help="speak TLS; the server's certificate is checked")
    send.add_argument("--ca", type=Path, help="PEM file with the authority of the server's certificate")
    send.add_argument("--cert", type=Path, help="PEM file with the client certificate")
    send.add_argument("--key", type=Path, help="PEM file with the client's private key")
    send.add_argument("--timeout", type=float, default=30.0, help="seconds to wait for each answer (default 30)")

    convert = add_action(actions, "convert", "hl7_convert", "turn messages into FHIR Bundles; needs no database")
    convert.add_argument("input", type=Path, metavar="IN", help="a file, or a folder that is walked")
    convert.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the Bundles go")
    convert.add_argument("--authority", default="", help="assigning authority that an empty CX.4 takes")
    convert.add_argument("--timezone", help="IANA zone of times without offset, such as Europe/Zurich")

    _register_validate(actions)

    get = add_action(actions, "get", "hl7_get", "read fields, such as 'PID-5.1' or 'OBX(3)-5(2).1.2'")
    get.add_argument("file", nargs="?", type=Path, metavar="FILE", help="holds one or more messages")
    get.add_argument(
        "paths", nargs="*", metavar="PATH", help="SEG(occurrence)-field(repetition).component.subcomponent"
    )
    get.add_argument("--message", type=int, default=1, metavar="N", help="which message of the file (default 1)")
    get.set_defaults(rest=[])
    get.add_argument("--batch", action="store_true", help="read JSON lines {file, message, paths} from standard input")

    route = add_action(actions, "route", "hl7_route", "explain which source would take a message")
    route.add_argument("file", type=Path, metavar="FILE", help="holds one or more messages")
    route.add_argument("--listener", default="plain", help="name of the listener (default plain)")
    route.add_argument("--peer", default="127.0.0.1", help="address of the sender (default 127.0.0.1)")
    route.add_argument("--client-cert", action="append", default=[], metavar="NAME", help="a name in its certificate")
    route.add_argument("--data-dir", type=Path, metavar="DIR", help="of the installation that is asked")


def _register_validate(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    meaning = "what is wrong with messages, and what would become of them; needs no database"
    validate = add_action(actions, "validate", "hl7_validate", meaning)
    validate.add_argument("inputs", nargs="+", metavar="IN", help="files, folders that are walked, or - for stdin")
    validate.set_defaults(rest=[])
    validate.add_argument("--fail-on", choices=_SEVERITIES[:2], default="error", help="what makes exit code 1")
    validate.add_argument("--show", choices=_SEVERITIES, default="warning", help="how grave an issue is to be shown")
    validate.add_argument("--version", dest="hl7_version", metavar="V", help="check by this version, not by MSH-12")
    validate.add_argument("--source-settings", type=Path, metavar="FILE", help="settings of a source: YAML, JSON, TOML")
    validate.add_argument("--authority", default="", help="assigning authority that an empty CX.4 takes")
    validate.add_argument("--timezone", help="IANA zone of times without offset, such as Europe/Zurich")
    validate.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML, one test case a message")
    validate.add_argument("--bundles", type=Path, metavar="DIR", help="write the FHIR Bundle of each message")
