// Where an export is written to: a file that is there whole or not at all, or a stream.

import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Takes text, in chunks. */
export interface Sink {
  write(chunk: string): Promise<void>;
  /** All was written. */
  finish(): Promise<void>;
  /** Not all was, and nothing of it shall stay. */
  abandon(): Promise<void>;
}

/**
 * Begins a file beside its place; it comes there when it is finished and flushed, and what was there stays until then. A
 * device or a pipe that is there is written into, and stays what it is.
 */
export async function openWholeFile(path: string): Promise<Sink> {
  const there = await stat(path).catch(() => undefined);
  return there && !there.isFile() ? openDevice(path) : openBeside(path);
}

async function openDevice(path: string): Promise<Sink> {
  const file = await open(path, 'w');
  return {
    write: (chunk) => writeAll(file, Buffer.from(chunk)),
    finish: () => file.close(),
    abandon: () => file.close(),
  };
}

async function openBeside(path: string): Promise<Sink> {
  const partial = `${path}.partial`;
  // Whose machines have which addresses is nobody else's business.
  const file = await open(partial, 'w', 0o600);
  return {
    write: (chunk) => writeAll(file, Buffer.from(chunk)),
    async finish() {
      await file.sync();
      await file.close();
      await rename(partial, path);
      await flushDirectory(dirname(path));
    },
    async abandon() {
      await file.close();
      await rm(partial, { force: true });
    },
  };
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
}

async function flushDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** A stream that somebody else opened. */
export function streamSink(stream: NodeJS.WritableStream): Sink {
  // Told to whoever writes; without a listener it would end the process.
  stream.on('error', () => undefined);
  return {
    write: (chunk) =>
      new Promise((resolve, reject) => {
        stream.write(chunk, (error) => (error ? reject(error) : resolve()));
      }),
    async finish() {},
    async abandon() {},
  };
}
