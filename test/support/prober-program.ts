// The prober's process, in the guest's namespace: `prober-program IFACE MAC EVERY_MS`. A line of JSON for every OFFER.

import { MESSAGE_TYPE, OPTION } from '@leasehold/agent/domain/dhcp/codes';
import { u8 } from '@leasehold/agent/domain/dhcp/option-values';
import { formatIpv4, type Mac } from '@leasehold/proto/values';
import { clientMessage, openGuestSocket, serverMessage } from './guest-socket.js';
import { monotonicMs, type ProbeAnswer } from './prober.js';

const [interfaceName = '', mac = '', everyMs = ''] = process.argv.slice(2);
const questions = new Map<number, { readonly askedMs: number; answers: number }>();
let xid = 0;

const socket = openGuestSocket(interfaceName, (bytes) => {
  const answer = serverMessage(bytes);
  if (answer?.mac !== mac || answer.options.get(OPTION.messageType)?.[0] !== MESSAGE_TYPE.offer) return;
  const question = questions.get(answer.xid);
  if (question === undefined) return;
  const line: ProbeAnswer = {
    question: answer.xid,
    nth: ++question.answers,
    askedMs: question.askedMs,
    answeredMs: monotonicMs(),
    address: formatIpv4(answer.yiaddr),
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
});

setInterval(() => {
  questions.set(++xid, { askedMs: monotonicMs(), answers: 0 });
  socket.send(clientMessage(mac as Mac, xid, [[OPTION.messageType, u8(MESSAGE_TYPE.discover)]]));
}, Number(everyMs));
