/**
 * Making a session as if newly opened.
 */
import type { Done, ResetPolicy } from "../../../driver/Driver.js"
import type { Channel } from "./exchange.js"

/** The pieces of DISCARD ALL, which cannot stand in one text with others, without what was prepared. */
const discard = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; UNLISTEN *; " +
  "SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES"

/** Ends the open transaction as the policy has it, and clears what statements may have changed of the session. */
export const reset = (channel: Channel, policy: ResetPolicy, done: Done<void>): void => {
  const unusable = channel.unusable(undefined)
  if (unusable !== undefined) return done(unusable)
  const { session } = channel
  const parts: Array<string> = []
  if (session.transaction !== "idle") {
    if (policy === "commit" && session.transaction === "open") {
      return channel.run("COMMIT", (error) => error === undefined ? reset(channel, policy, done) : done(error))
    }
    parts.push("ROLLBACK")
  }
  // Behind a pooler the next statement may reach another process, to which this would be done in place of ours.
  if ((session.dirty || policy === "discard") && !session.isPooled) parts.push(discard)
  if (session.forgets) parts.push("DEALLOCATE ALL")
  if (parts.length === 0) return done(undefined)
  channel.run(parts.join("; "), (error) => {
    if (error !== undefined) return done(error)
    if (session.transaction !== "idle") return done(session.failures.stillInTransaction())
    session.wasReset()
    done(undefined)
  })
}
