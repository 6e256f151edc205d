// When certificates end, and how soon that is too soon.

import { X509Certificate } from 'node:crypto';
import type { Severity } from '../findings.js';

const DAY_MS = 86_400_000;
const SOON_MS = 14 * DAY_MS;
const TOO_SOON_MS = 2 * DAY_MS;

/** Until when the first certificate of a PEM is valid, the one that it is about; undefined: there is none. */
export function certificateEnd(pem: string): Date | undefined {
  try {
    return new Date(new X509Certificate(pem).validTo);
  } catch {
    return undefined;
  }
}

/** How bad it is that a certificate ends then; undefined: it has time. */
export function severityOfEnd(end: Date, nowMs: number): Severity | undefined {
  const leftMs = end.getTime() - nowMs;
  if (leftMs <= TOO_SOON_MS) return 'problem';
  return leftMs <= SOON_MS ? 'warning' : undefined;
}
