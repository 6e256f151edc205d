// What happened, in lines that a person reads: of a long run only the last ones are kept.

import { createHash, type Hash } from 'node:crypto';
import type { Log, LogFields } from '@leasehold/program/log';
import type { World } from './world.js';

const KEPT_LINES = 400;
const HASHED_CHARACTERS = 16_384;

/** The trace of a run. */
export class Trace {
  readonly #world: World;
  readonly #lines: string[] = [];
  readonly #hash: Hash = createHash('sha256');
  #dropped = 0;
  readonly #counts = new Map<string, number>();
  /** Not in the hash yet. */
  #unhashed = '';

  constructor(world: World) {
    this.#world = world;
  }

  /** Says what happened where. */
  say(where: string, what: string): void {
    const line = `${(this.#world.nowMs / 1_000).toFixed(3).padStart(9)} ${where.padEnd(8)} ${what}`;
    this.#unhashed += line;
    if (this.#unhashed.length > HASHED_CHARACTERS) this.#digestLines();
    if (this.#lines.push(line) <= 2 * KEPT_LINES) return;
    this.#dropped += KEPT_LINES;
    this.#lines.splice(0, KEPT_LINES);
  }

  /** Something happened once more. */
  count(what: string, times = 1): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + times);
  }

  /** How often what happened. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** The last lines. */
  get lines(): readonly string[] {
    const rest = this.#lines.slice(-KEPT_LINES);
    const dropped = this.#dropped + this.#lines.length - rest.length;
    return dropped > 0 ? [`… ${dropped} lines before`, ...rest] : rest;
  }

  /** The same for two runs in which the same happened, and for no others. */
  digest(): string {
    this.#digestLines();
    return this.#hash.copy().digest('hex');
  }

  #digestLines(): void {
    this.#hash.update(this.#unhashed);
    this.#unhashed = '';
  }
}

/** What a process logs, in the trace, while it lives. */
export class TracedLog implements Log {
  readonly #say: (line: string, message: string) => void;
  /** Told of what is a defect by the program's own word. */
  readonly #defect: (line: string) => void;
  readonly #fields: LogFields;

  constructor(say: (line: string, message: string) => void, defect: (line: string) => void, fields: LogFields = {}) {
    this.#say = say;
    this.#defect = defect;
    this.#fields = fields;
  }

  debug(): void {}

  info(message: string, fields?: LogFields): void {
    this.#say(this.#line(message, fields), message);
  }

  warn(message: string, fields?: LogFields): void {
    this.#say(this.#line(`WARN ${message}`, fields), message);
  }

  error(message: string, fields?: LogFields): void {
    const line = this.#line(`ERROR ${message}`, fields);
    this.#say(line, message);
    if (message.includes('defect')) this.#defect(line);
  }

  with(fields: LogFields): Log {
    return new TracedLog(this.#say, this.#defect, { ...this.#fields, ...fields });
  }

  #line(message: string, fields: LogFields = {}): string {
    const pairs = Object.entries({ ...this.#fields, ...fields }).map(([key, value]) => ` ${key}=${textOf(value)}`);
    return `${message}${pairs.join('')}`;
  }
}

function textOf(value: unknown): string {
  if (value instanceof Error) return value.message;
  return typeof value === 'string' ? value : JSON.stringify(value);
}
