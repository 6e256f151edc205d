// What a process has of memory, as the kernel counts it.

import { readFileSync } from 'node:fs';

/** Of a process, in bytes. */
export interface ProcessMemory {
  readonly resident: number;
  readonly anonymous: number;
  /** Pages of mapped files, the store's among them. */
  readonly mapped: number;
}

/** What it has now. */
export function memoryOf(pid: number): ProcessMemory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1_024;
  return { resident: bytes('VmRSS'), anonymous: bytes('RssAnon'), mapped: bytes('RssFile') };
}
