//! The polls that cost least, if the law of the durations is known.
//!
//! A poll costs `c` seconds, and each second between a job's end and the poll that sees it costs one. Backward induction
//! over the nodes of the grid gives the exact optimum (Barlow, Hunter and Proschan, "Optimum checking procedures", 1963). The
//! best next poll is the minimum over straight lines, of which the next node's is queried further to the right than
//! the last one's was, so a stack finds all of them in one pass.

use super::grid::{Grid, NODES};
use super::survival::Survival;

/// The age at which to poll next, for a job of any age: a table shared by all jobs of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// For each node, the node of the next poll. Invariant: it is a later one, but for the last node, whose own it is.
    next: Box<[u16]>,
}

/// A candidate for the next poll: its cost is `slope * s + offset` where `s` is the survival at the poll before.
#[derive(Clone, Copy)]
struct Line {
    node: u16,
    slope: f64,
    offset: f64,
}

impl Line {
    fn at(self, s: f64) -> f64 {
        self.slope * s + self.offset
    }
}

impl Plan {
    /// Returns the best plan when a poll costs `c` seconds, and its expected cost in seconds.
    pub fn new(survival: &Survival, c: f64) -> (Self, f64) {
        let times = &Grid::get().times;
        let (s, area) = (&survival.at, &survival.area);
        let mut next = vec![to_node(NODES); NODES + 1].into_boxed_slice();
        let mut cost = 0.0;
        let mut lines: Vec<Line> = Vec::with_capacity(NODES + 1);
        // Lines before this one are no longer the lowest for any survival to come.
        let mut first = 0;
        for i in (0..NODES).rev() {
            let j = i + 1;
            let line = Line { node: to_node(j), slope: times[j], offset: cost - area[j] };
            while let [.., below, top] = lines[first..] {
                if !is_needless(below, top, line) {
                    break;
                }
                lines.pop();
            }
            lines.push(line);
            while let [this, that, ..] = lines[first..] {
                if that.at(s[i]) > this.at(s[i]) {
                    break;
                }
                first += 1;
            }
            let best = lines[first];
            next[i] = best.node;
            cost = c * s[i] - s[i] * times[i] + area[i] + best.at(s[i]);
        }
        (Self { next }, cost)
    }

    #[cfg(test)]
    pub(super) fn next_node(&self, node: usize) -> u16 {
        self.next[node]
    }

    /// Returns the age of the next poll after `age`, both in seconds. At the end of the grid it is `age` itself or
    /// below.
    pub fn after(&self, age: f64) -> f64 {
        let times = &Grid::get().times;
        let at = |node: usize| times[usize::from(self.next[node])];
        // What is not a number counts as a job that has just begun.
        if age >= times[1] {
            let (node, part) = Grid::get().locate(Grid::log(age));
            let (this, that) = (at(node), at(node + 1));
            this + part * (that - this)
        } else {
            at(0)
        }
    }
}

/// Returns whether the line at the top of the stack is nowhere the lowest once `new` is there.
fn is_needless(below: Line, top: Line, new: Line) -> bool {
    (new.offset - below.offset) * (below.slope - top.slope)
        <= (top.offset - below.offset) * (below.slope - new.slope)
}

fn to_node(node: usize) -> u16 {
    u16::try_from(node).unwrap_or(u16::MAX)
}
