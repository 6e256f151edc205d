// A real terminal with a person at it: what is typed goes in, what the screen shows comes out. tmux is the terminal.

import { join } from 'node:path';
import { eventually } from './eventually.js';
import { run, runOrThrow } from './run.js';
import { temporaryDirectory } from './sandbox.js';

/** What runs in a terminal, and where. */
export interface TerminalOptions {
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
}

const SESSION = 'person';

/** A terminal of 100 columns and 20 lines. */
export class Terminal implements AsyncDisposable {
  // A socket of its own: a tmux that is ending still holds the one before.
  readonly #directory = temporaryDirectory('terminal-');
  readonly #tmux = ['-S', join(this.#directory.path, 'socket'), '-f', '/dev/null'] as const;

  private constructor() {}

  /** Opens it, and starts what runs in it. */
  static async open({ command, env }: TerminalOptions): Promise<Terminal> {
    const terminal = new Terminal();
    const args = [...terminal.#tmux, 'new-session', '-d', '-s', SESSION, '-x', '100', '-y', '20', command];
    // A session of its own: in another tmux it would refuse to start.
    await runOrThrow('tmux', args, { env: { ...env, TMUX: undefined, TERM: 'xterm-256color' } });
    return terminal;
  }

  /** Types keys by their names, `Tab`, `Enter`, `C-c`, or text. */
  async type(...keys: readonly string[]): Promise<void> {
    await runOrThrow('tmux', [...this.#tmux, 'send-keys', '-t', SESSION, ...keys]);
  }

  /** What the screen shows; with `colours` also the sequences that colour it, as `\\033[32m`. */
  async screen(colours = false): Promise<string> {
    const how = colours ? ['-e', '-C'] : [];
    return runOrThrow('tmux', [...this.#tmux, 'capture-pane', '-p', ...how, '-t', SESSION]);
  }

  /** Waits until the screen shows this, and answers the screen. */
  async shows(wanted: RegExp, colours = false): Promise<string> {
    let seen = '';
    const look = async () => {
      seen = await this.screen(colours);
      return wanted.test(seen) && seen;
    };
    return eventually(`${wanted} on the screen`, look).catch((error: unknown) => {
      throw new Error(`The screen showed last:\n${seen}`, { cause: error });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run('tmux', [...this.#tmux, 'kill-server']);
    this.#directory[Symbol.dispose]();
  }
}
