// A file that is there whole, or not at all.

import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Writes a file beside its place, flushes it, and puts it there; what was there before stays until then. */
export async function writeWhole(path: string, chunks: AsyncIterable<string>): Promise<void> {
  const partial = `${path}.partial`;
  try {
    await writeAll(partial, chunks);
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  await flushDirectory(dirname(path));
}

async function writeAll(path: string, chunks: AsyncIterable<string>): Promise<void> {
  // Whose machines have which addresses is nobody else's business.
  const file = await open(path, 'w', 0o600);
  try {
    for await (const chunk of chunks) await writeChunk(file, chunk);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function writeChunk(file: FileHandle, chunk: string): Promise<void> {
  const bytes = Buffer.from(chunk);
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
