/**
 * How a connection comes back to its pool.
 */
import type * as Driver from "../../driver/Driver.js"
import type { PoolEntry } from "../pool/PoolEntry.js"
import { settleLimit } from "./Deadline.js"
import type { EngineContext } from "./Request.js"

/**
 * Puts a connection back after use: at once when it is clean, after a reset when it is not, never when it cannot be
 * cleaned. `done` is called when no lock of the borrower is left; cleaning goes on behind.
 */
export const recycle = (engine: EngineContext, entry: PoolEntry<Driver.Connection>, done: () => void): void => {
  const { config, pool } = engine
  const { connection } = entry
  const policy = config.pool.resetOnReturn
  if (connection.lost) {
    pool.evict(entry, false)
    return done()
  }
  const isOpen = connection.transaction !== "idle"
  if (policy === "none" || (!isOpen && !connection.dirty && policy !== "discard")) {
    pool.release(entry)
    return done()
  }
  pool.setBusy(entry, settleLimit)
  connection.reset(policy, (error) => {
    if (error === undefined) {
      pool.release(entry)
    } else {
      pool.evict(entry, false)
    }
    if (isOpen) {
      done()
    }
  })
  if (!isOpen) {
    done()
  }
}
