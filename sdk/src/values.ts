// What every resource converts the same way between the wire and people.

import { malformedResponse } from './errors.js';
import type { Duration } from './gen/google/protobuf/duration.js';

/** Free to use by callers: up to 32 entries, key 1 to 63 bytes, value up to 255 bytes. */
export type Labels = Readonly<Record<string, string>>;

/** How an update or delete is made. */
export interface GuardOptions {
  /** Only if the settings still are those of this etag, else AbortedError (`ETAG_MISMATCH`). Absent: whatever they are. */
  readonly etag?: string | undefined;
}

/** How a create is made. */
export interface CreateOptions {
  /**
   * Names this request, up to 128 characters: repeated, it answers what the first one made. Absent: without an id of
   * the resource the SDK makes one, so that its own retries never create two.
   */
  readonly requestId?: string | undefined;
}

/** What the contract says is always there. */
export function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw malformedResponse(name);
  return value;
}

/** A span as a number of seconds. */
export function toSeconds(duration: Duration): number {
  return Number(duration.seconds) + duration.nanos / 1e9;
}

/** A number of seconds as a span; to the millisecond, which is as exact as anything here. */
export function fromSeconds(seconds: number): Duration {
  const ms = Math.round(seconds * 1_000);
  return { seconds: BigInt(Math.trunc(ms / 1_000)), nanos: (ms % 1_000) * 1_000_000 };
}

/** The name of a wire value; a newer server may send one this client was not built with. */
export function nameOf<const Names extends Readonly<Record<number, string>>>(
  names: Names,
  wire: number,
): Names[keyof Names] | 'unknown' {
  return (names as Readonly<Record<number, Names[keyof Names]>>)[wire] ?? 'unknown';
}

/** The mask of an update: the API's paths of the fields that `changes` holds. */
export function changedPaths<Changes extends object>(
  changes: Changes,
  paths: Readonly<Record<keyof Changes, string>>,
): string[] {
  return (Object.keys(paths) as (keyof Changes)[]).filter((key) => changes[key] !== undefined).map((key) => paths[key]);
}

type Plain = string | number | boolean | bigint | Date | Uint8Array | undefined;

/** What a message can be made from: any of its fields, read-only or undefined as people's types have them. */
export type Loose<T> = T extends Plain
  ? T
  : T extends readonly (infer Item)[]
    ? readonly Loose<Item>[]
    : T extends { $case: infer Case; value: infer Value }
      ? { readonly $case: Case; readonly value: Loose<Value> }
      : { readonly [Key in keyof T]?: Loose<T[Key]> | undefined };

/** Makes a message; the generated `fromPartial` takes all of `Loose`, only its type is narrower. */
export function message<T>(type: { fromPartial(fields: never): T }, fields: Loose<NoInfer<T>>): T {
  return type.fromPartial(fields as never);
}
