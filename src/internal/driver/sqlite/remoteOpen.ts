/**
 * Opening a SQLite file in a process of its own.
 */
import type { ConnectionError, TimeoutError } from "../../../DbError.js"
import { connectTimeout, Fault } from "./codes.js"
import { toOpenError } from "./errors.js"
import type { Shared } from "./handle.js"
import type { Spec } from "./open.js"
import { cannotStart, died, Process } from "./process.js"
import { isInMemory, RemoteConnection } from "./remote.js"
import { type Answer, fromPlain } from "./wire.js"

/** How much longer the opening may take here than there, so that the process tells what it waited for. */
const openGrace = 250

const ignore = () => {}

/** Starts a process and opens the file in it. Returns how to give up. */
export const openRemote = (
  spec: Spec,
  shared: Shared,
  done: (error: ConnectionError | TimeoutError | undefined, connection: RemoteConnection | undefined) => void
): () => void => {
  const limit = spec.connectTimeout
  const kept = shared.process?.gone === false ? shared.process : undefined
  let process: Process
  let timer: ReturnType<typeof setTimeout> | undefined
  let isSettled = false
  const give = (): boolean => {
    const isFirst = !isSettled
    isSettled = true
    clearTimeout(timer)
    return isFirst
  }
  const abandon = () => {
    process.onGone = undefined
    if (kept === undefined) {
      process.kill()
    }
  }
  const fail = (fault: Fault) => {
    if (give()) {
      abandon()
      done(toOpenError(new Fault({ database: spec.database, outcome: "NotSent" }, fault.fields)), undefined)
    }
  }
  try {
    process = kept ?? new Process()
  } catch (cause) {
    done(toOpenError(cannotStart(spec.database, cause)), undefined)
    return ignore
  }
  process.onGone = (cause) =>
    fail(cause === undefined ? died(spec.database, process) : cannotStart(spec.database, cause))
  const answered = ([plain, opened]: Answer) => {
    if (plain !== null) {
      return fail(fromPlain(plain))
    }
    if (give()) {
      // The process answers so to these two.
      const [version, module, passedOver] = opened as readonly [version: string, module: string, passedOver?: string]
      shared.module = module
      shared.passedOver = passedOver
      done(undefined, new RemoteConnection(spec, shared, process, version))
    }
  }
  if (kept === undefined) {
    const { extensions, live } = shared
    process.loaded = extensions.length
    live.add(process)
    process.whenGone(() => live.delete(process))
    if (isInMemory(spec)) {
      shared.process = process
    }
    process.ask(
      ["open", { ...spec, mustExist: shared.file.existed, since: Date.now() }, extensions.slice()],
      answered
    )
  } else {
    process.ask(["reopen"], answered)
  }
  if (limit > 0) {
    timer = setTimeout(
      () => fail(connectTimeout({ database: spec.database }, limit, "the process for the database did not answer")),
      limit + openGrace
    )
  }
  return () => {
    if (give()) {
      abandon()
    }
  }
}
