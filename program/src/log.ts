// The log as a port: what happened, as a short stable message and fields one can grep.

import { type LoggerOptions, pino } from 'pino';

/** Values next to a message. Never secrets. */
export type LogFields = Readonly<Record<string, unknown>>;

/** A log that can be narrowed with fields. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log that adds these fields to every line. */
  with(fields: LogFields): Log;
}
