// The flags of leasehold-server that say how much callers may take, named as the limits are.

import {
  durationWithin,
  formatDuration,
  formatSize,
  integerWithin,
  sizeWithin,
} from '@leasehold/program/option-values';
import { type OptionSpec, type OptionTable, value } from '@leasehold/program/options';
import { DEFAULT_LIMITS, type Limits } from './domain/limits.js';

const KIB = 1_024;
const MIB = 1_024 * KIB;

/** See the top of the file. */
export const LIMIT_OPTIONS = {
  // Batches of the SDK have half a MiB.
  maxRequestSize: size('maxRequestSize', 'how large a request of an engine may be', 768 * KIB, 64 * MIB),
  // Parts of a hello have nearly as much as is the default.
  maxAgentMessageSize: size('maxAgentMessageSize', 'how large a message of an agent may be', 256 * KIB, 64 * MIB),
  maxMetadataSize: size('maxMetadataSize', 'how large the metadata of a call may be', 2 * KIB, 64 * KIB),
  maxStreams: count('maxStreams', 'how many calls an engine may have at once on a connection, others wait', 10_000),
  maxConnections: count('maxConnections', 'how many connections engines, and how many agents may have', 1_000_000),
  maxCallsPerSecond: count('maxCallsPerSecond', 'how many calls a caller with a certificate may make', 1_000_000),
  maxPageSize: count('maxPageSize', 'how many items a page of a list may have', 10_000),
  maxWatches: count('maxWatches', 'how many watches the server has at once', 10_000),
  maxWatchesPerCaller: count('maxWatchesPerCaller', 'the same of each caller with a certificate', 10_000),
  maxWatchStall: value({
    unit: 'duration',
    help: 'how long a reader of a watch may take nothing until it is cut off, 1s to 10m',
    parse: durationWithin({ min: 1_000, max: 600_000 }),
    default: formatDuration(DEFAULT_LIMITS.maxWatchStall),
  }),
} satisfies OptionTable & Readonly<Record<keyof Limits, OptionSpec<number>>>;

function size(name: keyof Limits, help: string, min: number, max: number): OptionSpec<number> {
  return value({
    unit: 'size',
    help: `${help}, ${formatSize(min)} to ${formatSize(max)}`,
    parse: sizeWithin(min, max),
    default: formatSize(DEFAULT_LIMITS[name]),
  });
}

function count(name: keyof Limits, help: string, max: number): OptionSpec<number> {
  return value({
    unit: 'count',
    help: `${help}, 1 to ${max}`,
    parse: integerWithin(1, max),
    default: String(DEFAULT_LIMITS[name]),
  });
}
