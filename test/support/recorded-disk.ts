// What a process did to one file, recorded by strace, and the file as it would be found after an end at any moment.
//
//   R1. After a kill the page cache stays: the file has every write that was done.
//   R2. After a loss of power it has every write that was flushed, by fdatasync or by a descriptor that is O_DSYNC, and of
//       the others any.
//   R3. What is not understood is an error: nothing that changes the file is passed over.

import { readFileSync } from 'node:fs';
import { WatchedProcess } from './processes.js';

/** What the process did, in order. */
export type DiskEvent =
  /** A write that is done; `flushed`: and on the disk. */
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Buffer; readonly flushed: boolean }
  /** A flush that is done: of everything that was written when it began. */
  | { readonly kind: 'flush'; readonly began: number }
  /** A line on standard output, before it is seen by anybody. */
  | { readonly kind: 'line'; readonly text: string };

const CALLS =
  'openat,close,lseek,write,writev,pwrite64,pwritev,pwritev2,fdatasync,fsync,msync,ftruncate,fallocate,mmap';

/** Runs a command to its end and answers what it did to `file`, and what it said. `trace`: where the record goes. */
export async function recordDisk(
  command: readonly [string, ...string[]],
  file: string,
  trace: string,
): Promise<readonly DiskEvent[]> {
  const all = ['-f', '-y', '-xx', '-s', '4000000', '-o', trace, '-e', `trace=${CALLS}`, ...command];
  await using process = new WatchedProcess('strace', all, { env: { UV_THREADPOOL_SIZE: '1' } });
  const code = await process.exited;
  if (code !== 0) throw new Error(`${process.title} ended with ${code}`);
  return new Recorder(file).read(readFileSync(trace, 'latin1'));
}

/** The file after its first events: after a kill. */
export function afterKill(events: readonly DiskEvent[]): Buffer {
  return imageOf(events.filter((event) => event.kind === 'write'));
}

/** The file after its first events: after a loss of power that keeps some of the writes that were not flushed. */
export function afterPowerLoss(events: readonly DiskEvent[], keeps: () => boolean): Buffer {
  const began = events.findLast((event) => event.kind === 'flush')?.began ?? 0;
  return imageOf(events.filter((event, i) => event.kind === 'write' && (i < began || event.flushed || keeps())));
}

function imageOf(events: readonly DiskEvent[]): Buffer {
  const writes = events.filter((event) => event.kind === 'write');
  const image = Buffer.alloc(Math.max(0, ...writes.map(({ offset, bytes }) => offset + bytes.length)));
  for (const { offset, bytes } of writes) bytes.copy(image, offset);
  return image;
}

/** Reads a trace. */
class Recorder {
  readonly #file: string;
  readonly #events: DiskEvent[] = [];
  readonly #unfinished = new Map<string, { readonly text: string; readonly began: number }>();
  readonly #synchronous = new Set<string>();
  readonly #offsets = new Map<string, number>();

  constructor(file: string) {
    this.#file = file;
  }

  read(trace: string): readonly DiskEvent[] {
    for (const line of trace.split('\n')) {
      const [, pid = '', text = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
      const [, begin] = /^(.*) <unfinished \.\.\.>$/.exec(text) ?? [];
      const [, end] = /^<\.\.\. \w+ resumed>(.*)$/.exec(text) ?? [];
      const before = this.#unfinished.get(pid);
      if (begin !== undefined) {
        this.#unfinished.set(pid, { text: begin, began: this.#events.length });
        // What is said may be heard before the call is over.
        this.#line(begin);
      } else if (end === undefined) this.#call(text, this.#events.length, true);
      else if (before) this.#call(`${before.text}${end}`, before.began, false);
    }
    return this.#events;
  }

  #line(text: string): boolean {
    const [, said] = /^write\(1<[^>]*>, "((?:\\x[0-9a-f]{2})*)"/.exec(text) ?? [];
    if (said === undefined) return false;
    this.#events.push({ kind: 'line', text: bytesOf(said).toString().trimEnd() });
    return true;
  }

  #call(text: string, began: number, isWhole: boolean): void {
    const [, name = '', rest = '', result = ''] = /^(\w+)\((.*)\)\s+= (-?\w+)/.exec(text) ?? [];
    if (name === 'write' && rest.startsWith('1<')) {
      if (isWhole) this.#line(text);
    } else if (name === 'openat') this.#opened(rest, result);
    else {
      const [, descriptor = '', path = '', more = ''] = /^(?:[^<"]*, )?(\d+)<([^>]*)>(.*)$/.exec(rest) ?? [];
      if (bytesOf(path).toString() !== this.#file || result.startsWith('-')) return;
      const known = this.#onFile(name, descriptor, more, Number(result), began) || isReadOnlyMap(name, rest);
      if (!known) throw new Error(`Not understood: ${text.slice(0, 200)}`);
    }
  }

  #onFile(name: string, descriptor: string, rest: string, result: number, began: number): boolean {
    switch (name) {
      case 'lseek':
        this.#offsets.set(descriptor, result);
        return true;
      case 'pwrite64':
        this.#written(descriptor, rest, Number(/(\d+)$/.exec(rest)?.[1]), result);
        return true;
      case 'writev': {
        const offset = this.#offsets.get(descriptor) ?? 0;
        this.#written(descriptor, rest, offset, result);
        this.#offsets.set(descriptor, offset + result);
        return true;
      }
      case 'fdatasync':
      case 'fsync':
        this.#events.push({ kind: 'flush', began });
        return true;
      case 'close':
        this.#synchronous.delete(descriptor);
        this.#offsets.delete(descriptor);
        return true;
      default:
        return false;
    }
  }

  #opened(rest: string, descriptor: string): void {
    const [, path = ''] = /^[^,]*, "([^"]*)"/.exec(rest) ?? [];
    const [, number = ''] = /^(\d+)/.exec(descriptor) ?? [];
    if (bytesOf(path).toString() === this.#file && rest.includes('O_DSYNC')) this.#synchronous.add(number);
  }

  #written(descriptor: string, rest: string, offset: number, length: number): void {
    const parts = [...rest.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, data = '']) => bytesOf(data));
    const bytes = Buffer.concat(parts);
    if (bytes.length !== length) throw new Error(`Of a write of ${length} bytes, ${bytes.length} were recorded`);
    this.#events.push({ kind: 'write', offset, bytes, flushed: this.#synchronous.has(descriptor) });
  }
}

function isReadOnlyMap(name: string, rest: string): boolean {
  return name === 'mmap' && !rest.includes('PROT_WRITE');
}

function bytesOf(escaped: string): Buffer {
  return Buffer.from(escaped.replaceAll('\\x', ''), 'hex');
}
