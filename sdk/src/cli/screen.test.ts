import { describe, expect, test } from 'vitest';
import { openScreen } from './screen.js';

const SEEN = { kind: 'done', text: 'seen' } as const;

/** Shows a look with this problem, on a terminal of so many lines or in a pipe. */
function shown(problem: string, rows?: number): { readonly stdout: string; readonly stderr: string } {
  let stdout = '';
  let stderr = '';
  const io = {
    stdout: (text: string) => {
      stdout += text;
    },
    stderr: (text: string) => {
      stderr += text;
    },
    rows: () => rows,
  };
  using screen = openScreen('leasehold host list', 'table', false, io);
  screen.show({ seen: SEEN, seenMs: 0, problem });
  return { stdout, stderr };
}

describe('what is wrong with a server is told in its own words', () => {
  test('which neither drive the terminal nor break what is redrawn', () => {
    const { stdout } = shown('away\u001b[2J\nfor good (A\u009bB)', 10);
    expect(stdout).toContain('\r\naway?[2J?for good (A?B)\u001b[K\r\nseen');
  });

  test('on one line of stderr', () => {
    const { stderr } = shown('away\u001b[2J\nfor good');
    expect(stderr).toBe('leasehold: away?[2J?for good; it is looked at again\n');
  });
});
