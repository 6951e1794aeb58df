/**
 * Limits of a statement that the server keeps, set by statements of their own.
 */
import type { Done, Request } from "../../../driver/Driver.js"
import type { Channel } from "./exchange.js"
import type { SessionState } from "./session.js"
import type { Text } from "./text.js"

const setting = (millis: number | undefined): string => millis === undefined ? "DEFAULT" : String(Math.ceil(millis))

/** The statements that set a request's limits for its transaction, where those in force are others. */
export const localLimits = (session: SessionState, request: Request, text: Text): ReadonlyArray<string> => {
  const limits: Array<string> = []
  if ((session.transaction === "open" && !text.controls) || request.begin !== undefined) {
    if (request.statementTimeout !== session.localStatementTimeout) {
      limits.push(`SET LOCAL statement_timeout TO ${setting(request.statementTimeout)}`)
    }
    if (request.lockTimeout !== session.localLockTimeout) {
      limits.push(`SET LOCAL lock_timeout TO ${setting(request.lockTimeout)}`)
    }
  }
  return limits
}

/**
 * Runs a statement that may refuse to share a transaction with `SET LOCAL`: the session's limits are set, and set back.
 */
export const withSessionLimits = (
  channel: Channel,
  request: Request,
  execute: (request: Request, done: Done<unknown>) => void,
  done: Done<unknown>
): void => {
  const { session } = channel
  const { lockTimeout, statementTimeout } = request
  const names: Array<string> = []
  const set: Array<string> = []
  if (statementTimeout !== undefined) {
    names.push("statement_timeout")
    set.push(`SET statement_timeout TO ${setting(statementTimeout)}`)
  }
  if (lockTimeout !== undefined) {
    names.push("lock_timeout")
    set.push(`SET lock_timeout TO ${setting(lockTimeout)}`)
  }
  const bare: Request = { ...request, statementTimeout: undefined, lockTimeout: undefined }
  channel.run(set.join("; "), (error) => {
    if (error !== undefined) return done(error, undefined)
    session.sessionLimits = { statementTimeout, lockTimeout }
    execute(bare, (failure, value) => {
      session.sessionLimits = undefined
      if (channel.lost) return done(failure, value)
      channel.run(names.map((name) => `SET ${name} TO DEFAULT`).join("; "), (unset) => {
        // In a transaction that has failed (the statement was a BEGIN with more) nothing can be set.
        if (unset !== undefined || session.transaction !== "idle") session.dirty = true
        done(failure, value)
      })
    })
  })
}
