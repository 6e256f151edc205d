// How what is watched is printed: redrawn in place on a terminal, one after another in a pipe.

import { cellText, jsonLine, type OutputFormat, printable, render, serialize, type Whole } from './output.js';
import type { Look } from './watching.js';

/** What a screen needs of the process. */
export interface ScreenIo {
  stdout(text: string): void;
  stderr(text: string): void;
  /** Lines of the terminal; undefined: it is none. */
  rows(): number | undefined;
}

/** Prints looks. */
export interface Screen extends Disposable {
  show(look: Look<Whole>): void;
}

const ESC = '\u001b[';
// The other screen of the terminal, as pagers use it, without a cursor, and with long lines cut instead of folded.
const ENTER = `${ESC}?1049h${ESC}?25l${ESC}?7l`;
const LEAVE = `${ESC}?7h${ESC}?25h${ESC}?1049l`;

/** Opens what fits: `title` is the command line, for people. */
export function openScreen(title: string, format: OutputFormat, colours: boolean, io: ScreenIo): Screen {
  return format === 'table' && io.rows() !== undefined ? redrawn(title, colours, io) : appended(format, colours, io);
}

function redrawn(title: string, colours: boolean, io: ScreenIo): Screen {
  let drawn = '';
  let last = '';
  io.stdout(ENTER);
  return {
    show({ seen, seenMs, problem }) {
      const next = render(seen, 'table', colours);
      const lines = fitting(next.trimEnd().split('\n'), (io.rows() ?? 0) - 2);
      const body = [printable(problem ?? ''), ...lines].join('\n');
      // Not its time alone: what did not change is not drawn again.
      if (body === drawn) return;
      [drawn, last] = [body, next];
      const head = `${title}  ${cellText(new Date(seenMs))}  Ctrl-C ends`;
      io.stdout(`${ESC}H${[head, ...body.split('\n')].map((line) => `${line}${ESC}K`).join('\r\n')}${ESC}J`);
    },
    // What was seen last stays, on the screen where the command was typed.
    [Symbol.dispose]: () => io.stdout(`${LEAVE}${last}`),
  };
}

function fitting(lines: readonly string[], rows: number): readonly string[] {
  if (lines.length <= rows) return lines;
  const shown = Math.max(1, rows - 1);
  return [...lines.slice(0, shown), `and ${lines.length - shown} more lines`];
}

function appended(format: OutputFormat, colours: boolean, io: ScreenIo): Screen {
  let printed: string | undefined;
  let told: string | undefined;
  return {
    show({ seen, seenMs, problem }) {
      if (problem !== told && problem !== undefined)
        io.stderr(`leasehold: ${printable(problem)}; it is looked at again\n`);
      told = problem;
      const next = documentOf(seen, format, colours);
      if (next === printed) return;
      const between = printed === undefined ? '' : '\n';
      printed = next;
      io.stdout(format === 'table' ? `${between}${cellText(new Date(seenMs))}\n${next}` : next);
    },
    [Symbol.dispose]: () => {},
  };
}

function documentOf(seen: Whole, format: OutputFormat, colours: boolean): string {
  if (format === 'table' || seen.kind === 'done') return render(seen, format, colours);
  return format === 'json' ? jsonLine(seen.json) : `---\n${serialize(seen.json, format)}`;
}
