// A log that nobody reads.

import type { Log } from '@leasehold/program/log';

/** Keeps nothing. */
export const SILENT: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  with: () => SILENT,
};
