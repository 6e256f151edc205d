// What a ReserveAddress could cost at best: the listener, limits and messages of the server, and a handler that answers
// a constant.

import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { parseListen } from '@leasehold/program/option-values';
import {
  IpamServiceService,
  type ReserveAddressRequest,
  ReserveAddressResponse,
} from '@leasehold/proto/ipam/v1/ipam_service';
import { ReservationState } from '@leasehold/proto/ipam/v1/reservation';
import { ENGINE_LIMITS, listen } from '@leasehold/server/transport/listener';
import { readDescriptors } from '@leasehold/server/transport/reflection';
import { childArgument } from './child.js';

const ANSWER = ReserveAddressResponse.fromPartial({
  created: true,
  reservation: {
    reservationId: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    networkId: 'bench',
    subnetId: 'bench-0',
    address: '10.0.12.34',
    mac: '02:00:00:00:12:34',
    state: ReservationState.RESERVED,
    createTime: new Date(),
    createdBy: 'insecure',
    etag: '0123456789abcdef',
  },
});

const endpoint = parseListen(childArgument<{ readonly listen: string }>().listen);
if (!endpoint.ok) throw new Error(endpoint.problem);
const reserveAddress = (
  _call: ServerUnaryCall<ReserveAddressRequest, ReserveAddressResponse>,
  callback: sendUnaryData<ReserveAddressResponse>,
) => callback(null, ANSWER);
const service = {
  name: 'ipam.v1.IpamService',
  definition: { reserveAddress: IpamServiceService.reserveAddress },
  handlers: { reserveAddress },
};
await listen([endpoint.value], service, ENGINE_LIMITS, readDescriptors());
console.log('empty server is ready');
