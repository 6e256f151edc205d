// The log as a port: what happened, as a short stable message and fields one can grep. `createLog` is its one real
// form: lines on stdout, written before the call returns, so that the last line before an exit is never lost.

import { pino } from 'pino';

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

/** From the most talkative to the least. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
/** The least important lines that are written. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `json`: one object a line. `pretty`: one line for people. */
export const LOG_FORMATS = ['json', 'pretty'] as const;
/** How lines look. */
export type LogFormat = (typeof LOG_FORMATS)[number];

/** Where lines go, each with its newline. */
export interface LineSink {
  write(line: string): void;
}

/** A log on stdout, or to `sink`. A field named `error` shows message, type and stack. */
export function createLog(options: {
  readonly level: LogLevel;
  readonly format: LogFormat;
  readonly sink?: LineSink;
}): Log {
  const sink = options.sink ?? pino.destination({ fd: 1, sync: true });
  return wrap(
    pino(
      {
        level: options.level,
        base: null,
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
        serializers: { error: pino.stdSerializers.err },
      },
      options.format === 'json' ? sink : { write: (line: string) => sink.write(prettyLine(line)) },
    ),
  );
}

function wrap(logger: pino.Logger): Log {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    with: (fields) => wrap(logger.child(fields)),
  };
}

/** `2026-01-31T12:00:00.000Z WARN  Message key=value other="two words"`, from a line of JSON. */
function prettyLine(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const pairs = Object.entries(fields).map(([key, content]) => ` ${key}=${prettyValue(content)}`);
  // Control characters in a message could forge a line or drive the terminal; in values JSON escapes them.
  const text = `${time} ${String(level).toUpperCase().padEnd(5)} ${msg}${pairs.join('')}`;
  return `${text.replaceAll(/\p{Cc}/gu, ' ')}\n`;
}

function prettyValue(content: unknown): string {
  return typeof content === 'string' && /^[^\s"=]+$/.test(content) ? content : JSON.stringify(content);
}
