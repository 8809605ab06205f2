"""One question: its sources to tables, the tables to an answer."""

from argparse import Namespace
from collections.abc import Callable
from typing import NamedTuple

from atop_timeline import output
from atop_timeline.command import console_of, room
from atop_timeline.gathering import period
from atop_timeline.store import Questions

from . import answers, questions, sources, tables, trees


class Question(NamedTuple):
    """What gives the query for an answer, after the tables are made, and what to say where there is none."""

    ask: Callable[[Questions, Namespace], str]
    nothing: str


_NO_PROCESS = "no such process was found"
QUESTIONS = {
    "first-last": Question(questions.first_last, _NO_PROCESS),
    "tree": Question(trees.tree, "no such process was found; where nothing is recorded, nothing can be"),
    "short-lived": Question(questions.short_lived, _NO_PROCESS),
    "by-user": Question(questions.by_user, _NO_PROCESS),
    "children-of": Question(questions.children_of, _NO_PROCESS),
    "top": Question(
        questions.top, "nothing is recorded of that: network use needs netatop, disk use an atop run by root"
    ),
    "gaps": Question(questions.gaps, "nothing is told of the recording"),
    "search": Question(questions.search, _NO_PROCESS),
    "rare": Question(questions.rare, "no program was seen on so few of several hosts, or of several days"),
}


def run(question: str, options: Namespace) -> bool:
    """Answers; whether nothing of the evidence was damaged or unreadable."""
    period(options)  # a wrong one is told before anything is read
    console = console_of(options)
    answers.check(options.output)
    with (
        output.whole_told(lambda: [options.output]),
        room(options, [options.output]) as taken,
        sources.opened(options, console, taken) as (database, files, whole),
    ):
        tables.define(database, files)
        answer = answers.Answer(database, QUESTIONS[question].ask(database, options))
        answers.give(answer, options.output, overwrite=options.overwrite)
        if not answer.count:
            console.note(QUESTIONS[question].nothing)
    return whole
