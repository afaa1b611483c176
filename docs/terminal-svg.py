#!/usr/bin/env python3
"""Draws a terminal in which a command runs: docs/terminal-svg.py SECONDS COMMAND... >terminal.svg

Runs the command on a pseudo-terminal of 80 columns and 24 rows, and draws what it shows after so many seconds. Needs `pyte`
(`pip install pyte`). README.md's picture: docs/terminal-svg.py 7 target/debug/cfw-wait demo >docs/demo.svg
"""

import fcntl
import html
import os
import pty
import re
import select
import struct
import sys
import termios
import time

import pyte

COLUMNS, ROWS = 80, 24
WIDTH, HEIGHT, MARGIN = 8.4, 17, 14
COLOURS = {
    "default": "#d8dee9",
    "black": "#4c566a",
    "brightblack": "#7b8698",
    "red": "#f07178",
    "green": "#a3d977",
    "brown": "#ffcb6b",
    "blue": "#82aaff",
    "magenta": "#c792ea",
    "cyan": "#89ddff",
    "white": "#eceff4",
}


def run(seconds, command):
    """Returns the screen after some seconds, or at the end if that is sooner."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm-256color", LANG="C.UTF-8", CI="", NO_COLOR="")
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            try:
                stream.feed(os.read(terminal, 65536))
            except OSError:
                break
    os.close(terminal)
    os.waitpid(child, 0)
    return screen


def draw(screen, command):
    """Writes the screen as an SVG."""
    rows = [[screen.buffer[y][x] for x in range(COLUMNS)] for y in range(ROWS)]
    while rows and all(cell.data == " " for cell in rows[-1]):
        rows.pop()
    width, height = COLUMNS * WIDTH + 2 * MARGIN, (len(rows) + 2) * HEIGHT + 2 * MARGIN
    print(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
        'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14">'
    )
    print('<rect width="100%" height="100%" rx="8" fill="#1f2430"/>')
    prompt = "$ " + " ".join([os.path.basename(command[0]), *command[1:]])
    line(prompt, 0, 0, COLOURS["brightblack"], False)
    for y, row in enumerate(rows, 2):
        start = 0
        for x in range(1, COLUMNS + 1):
            style = (row[start].fg, row[start].bold)
            if x < COLUMNS and (row[x].fg, row[x].bold) == style:
                continue
            text = "".join(cell.data for cell in row[start:x])
            if text.strip():
                line(text, start, y, COLOURS.get(style[0], COLOURS["default"]), style[1])
            start = x
    print("</svg>")


def line(text, x, y, colour, bold):
    """Writes a part of a row, each column of it at its own place: signs are not as wide in all fonts."""
    base = MARGIN + (y + 0.8) * HEIGHT
    weight = ' font-weight="bold"' if bold else ""
    for column in re.finditer(r"^\S(?= )|\S+(?: \S+)*", text):
        left = MARGIN + (x + column.start()) * WIDTH
        length = "" if len(column[0]) == 1 else f' textLength="{len(column[0]) * WIDTH:.1f}"'
        print(
            f'<text x="{left:.1f}" y="{base:.1f}"{length} fill="{colour}"{weight}>'
            f"{html.escape(column[0])}</text>"
        )


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    draw(run(float(sys.argv[1]), sys.argv[2:]), sys.argv[2:])
