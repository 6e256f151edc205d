import { Metadata } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import {
  AbortedError,
  AlreadyExistsError,
  DeadlineExceededError,
  ExhaustedError,
  FailedPreconditionError,
  fromItemStatus,
  fromServiceError,
  InvalidArgumentError,
  LeaseholdError,
  NotFoundError,
  OutOfRangeError,
  PermissionDeniedError,
  UnauthenticatedError,
  UnavailableError,
  unansweredError,
} from './errors.js';
import { type RefusalDetails, refuse, statusOf } from './test-support/scripted-server.js';

const call = { method: 'GetSubnet', server: '127.0.0.1:7067', timeoutMs: 1_000, repeatable: true };

function decode(code: Parameters<typeof refuse>[0], details: RefusalDetails = {}, facts = call) {
  const { error } = refuse(code, details);
  const made = Object.assign(new Error('gRPC text'), { code: 2, details: '', metadata: new Metadata() }, error);
  return fromServiceError(made, facts);
}

function item(code: Parameters<typeof refuse>[0], details: RefusalDetails, repeatable = true) {
  return fromItemStatus(statusOf(refuse(code, details)), repeatable);
}

describe('errors', () => {
  test('a refusal keeps its reason, metadata, field violations, retry hint and cause', () => {
    const error = decode('INVALID_ARGUMENT', {
      reason: 'INVALID_FIELD',
      message: 'The subnet is wrong',
      metadata: { subnet_id: 'red-a' },
      violations: [{ field: 'subnet.cidr', description: 'has host bits' }],
      retryAfterSeconds: 1.5,
    });
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({
      name: 'InvalidArgumentError',
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELD',
      message: 'The subnet is wrong',
      metadata: { subnet_id: 'red-a' },
      fieldViolations: [{ field: 'subnet.cidr', description: 'has host bits' }],
      retryable: false,
      retryAfterMs: 1_500,
      cause: { message: 'gRPC text' },
    });
  });

  test('an item of a batch is refused like a call of its own', () => {
    const details = {
      reason: 'SUBNET_EXHAUSTED',
      message: 'Subnet red-a is full',
      metadata: { subnet_id: 'red-a' },
      violations: [{ field: 'subnet_id', description: 'is full' }],
      retryAfterSeconds: 2,
    };
    const { cause: _, stack: __, ...ofCall } = decode('RESOURCE_EXHAUSTED', details);
    expect(item('RESOURCE_EXHAUSTED', details)).toBeInstanceOf(ExhaustedError);
    expect(item('RESOURCE_EXHAUSTED', details)).toMatchObject(ofCall);
  });

  test('an item of a batch was answered, so no reason of it is a connection', () => {
    expect(item('UNAVAILABLE', { reason: 'OUTCOME_UNKNOWN' })).toMatchObject({ retryable: true });
    expect(item('UNAVAILABLE', { reason: 'OUTCOME_UNKNOWN' }, false)).toMatchObject({ retryable: false });
    expect(fromItemStatus({ code: 14, message: '', details: [] }, true)).toMatchObject({
      reason: 'UNAVAILABLE',
      message: 'The server refused it with UNAVAILABLE',
    });
  });

  test('each code that users tell apart has its class', () => {
    const classes = [
      ['INVALID_ARGUMENT', InvalidArgumentError],
      ['UNAUTHENTICATED', UnauthenticatedError],
      ['PERMISSION_DENIED', PermissionDeniedError],
      ['NOT_FOUND', NotFoundError],
      ['ALREADY_EXISTS', AlreadyExistsError],
      ['FAILED_PRECONDITION', FailedPreconditionError],
      ['ABORTED', AbortedError],
      ['RESOURCE_EXHAUSTED', ExhaustedError],
      ['OUT_OF_RANGE', OutOfRangeError],
      ['UNAUTHENTICATED', UnauthenticatedError],
      ['PERMISSION_DENIED', PermissionDeniedError],
      ['UNAVAILABLE', UnavailableError],
      ['DEADLINE_EXCEEDED', DeadlineExceededError],
    ] as const;
    for (const [code, type] of classes) {
      const error = decode(code);
      expect(error).toBeInstanceOf(type);
      expect(error).toMatchObject({ name: type.name, code });
    }
    expect(decode('DATA_LOSS').constructor).toBe(LeaseholdError);
  });

  test('without details the reason is the name of the code', () => {
    expect(decode('INTERNAL', { message: 'broken' })).toMatchObject({ reason: 'INTERNAL', message: 'broken' });
  });

  test("somebody else's error info is not taken for ours", () => {
    const error = decode('UNAVAILABLE', { reason: 'STORE_UNAVAILABLE', domain: 'proxy.example' });
    expect(error.reason).toBe('NO_CONNECTION');
  });

  test('mangled details do not hide the status', () => {
    const error = decode('NOT_FOUND', { rawDetails: Uint8Array.of(0x1a, 0xff, 0xff), message: 'gone' });
    expect(error).toMatchObject({ code: 'NOT_FOUND', reason: 'NOT_FOUND', message: 'gone' });
  });

  test('what was refused before anything was done may be tried again whatever was asked', () => {
    const once = { ...call, repeatable: false };
    expect(decode('RESOURCE_EXHAUSTED', { reason: 'RATE_LIMITED' }, once).retryable).toBe(true);
    expect(decode('ABORTED', { reason: 'TOO_BUSY' }, once).retryable).toBe(true);
    expect(decode('RESOURCE_EXHAUSTED', { reason: 'WATCH_TOO_SLOW' }, once).retryable).toBe(true);
    expect(decode('OUT_OF_RANGE', { reason: 'WATCH_COMPACTED' }).retryable).toBe(false);
    expect(decode('ABORTED', { reason: 'ETAG_MISMATCH' }).retryable).toBe(false);
  });

  test('only what gRPC never sent may be tried again whatever was asked', () => {
    const once = { ...call, repeatable: false };
    for (const message of ['No connection established. Last error: x ECONNREFUSED', 'Name resolution failed for x']) {
      const error = decode('UNAVAILABLE', { message }, once);
      expect(error).toMatchObject({ reason: 'NO_CONNECTION', retryable: true });
    }
    const epipe = 'Received RST_STREAM with code 2 triggered by internal client error: write EPIPE';
    expect(decode('INTERNAL', { message: epipe }, once)).toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
    for (const message of ['Connection dropped', 'read ECONNRESET', '', 'upstream said: No connection established']) {
      const error = decode('UNAVAILABLE', { message }, once);
      expect(error).toMatchObject({ reason: 'OUTCOME_UNKNOWN', retryable: false });
      expect(decode('UNAVAILABLE', { message })).toMatchObject({ reason: 'NO_CONNECTION', retryable: true });
    }
  });

  test('an outcome that the server itself does not know keeps what it says of it', () => {
    const details = { reason: 'OUTCOME_UNKNOWN', message: 'The store did not answer in time', pushback: '500' };
    for (const repeatable of [true, false]) {
      const error = decode('UNAVAILABLE', details, { ...call, repeatable });
      expect(error).toBeInstanceOf(UnavailableError);
      expect(error).toMatchObject({ reason: 'OUTCOME_UNKNOWN', message: details.message, retryable: repeatable });
    }
  });

  test('an unknown outcome may be tried again only when repeating does no harm', () => {
    expect(decode('DEADLINE_EXCEEDED').retryable).toBe(true);
    expect(decode('DEADLINE_EXCEEDED', {}, { ...call, repeatable: false }).retryable).toBe(false);
  });

  test('no answer names who was asked, if anybody was', () => {
    expect(unansweredError(call).message).toBe('GetSubnet got no answer from 127.0.0.1:7067 within 1000 ms');
    expect(unansweredError({ ...call, server: undefined }).message).toBe('GetSubnet reached no server within 1000 ms');
  });
});
