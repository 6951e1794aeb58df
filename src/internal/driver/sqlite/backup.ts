/**
 * Copying a database while it is used.
 */
import * as Fs from "node:fs"
import { isBusy, lockTimeout } from "./codes.js"
import { LockWait } from "./lock.js"
import type { BackupMetadata, Constructor, Database } from "./moduleContract.js"
import type { Spec } from "./open.js"

/** 400 KiB at SQLite's page size: about a millisecond of the event loop. */
const pagesPerStep = 100

/** The schema's version in a file. SQLite raises it in the very last step of a backup. */
const versionOf = (Database: Constructor, filename: string): number => {
  if (!Fs.existsSync(filename)) {
    return 0
  }
  const db = new Database(filename, { readonly: true, timeout: 0 })
  try {
    return db.pragma("schema_version", { simple: true }) as number
  } finally {
    db.close()
  }
}

/**
 * Copies the database to a file, some pages in each turn of the event loop. Returns how to stop it.
 *
 * better-sqlite3 takes a step that met a lock for one that succeeded without progress, so that a backup onto a locked
 * file "succeeds" with nothing copied, or never ends. Here it waits, and looks at what was written before it says so.
 */
export const backup = (
  db: Database,
  destination: string,
  { database, lockTimeout: limit }: Pick<Spec, "database" | "lockTimeout">,
  done: (value: BackupMetadata) => void,
  fail: (cause: unknown) => void
): () => void => {
  // The class of the handle, which is loaded already.
  const Database = db.constructor as Constructor
  const wait = new LockWait()
  const since = { started: performance.now(), attempts: 0 }
  let isStopped = false
  const again = (cause?: unknown) =>
    wait.repeat(
      limit,
      since,
      attempt,
      (limit) =>
        fail(limit === undefined ? new Error("the backup was stopped") : lockTimeout({ database }, limit, cause))
    )
  const attempt = () => {
    let before: number
    try {
      before = versionOf(Database, destination)
    } catch (cause) {
      return isBusy(cause) ? again(cause) : fail(cause)
    }
    let remaining = -1
    let progressed = performance.now()
    db.backup(destination, {
      progress: ({ remainingPages }) => {
        if (isStopped) {
          throw new Error("the backup was stopped")
        }
        const now = performance.now()
        if (remainingPages !== remaining) {
          remaining = remainingPages
          progressed = now
        } else if (limit > 0 && now - progressed > limit) {
          throw lockTimeout({ database }, limit, undefined)
        }
        return pagesPerStep
      }
    }).then((result) => {
      if (versionOf(Database, destination) === before) {
        return again()
      }
      done(result)
    }).catch((cause: unknown) => isBusy(cause) ? again(cause) : fail(cause))
  }
  attempt()
  return () => {
    isStopped = true
    wait.stop()
  }
}
