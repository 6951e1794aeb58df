/**
 * What lives longer than a connection.
 */
import type { DatabaseFile } from "./file.js"
import type { Database } from "./moduleContract.js"
import type { Process } from "./process.js"

/** What all connections of one database share. */
export interface Shared {
  /** Extensions that every connection is to load, in order. Only grows. */
  readonly extensions: Array<string>
  /** Handles and processes that are open: nothing of a database outlives its driver. */
  readonly live: Set<{ readonly kill: () => void }>
  /** The file that its connections have open. */
  readonly file: DatabaseFile
  /**
   * What holds an in-memory database. It must not end with a connection, which a pool may replace at any time: it ends
   * with the driver.
   */
  memory: Handle | undefined
  process: Process | undefined
  /** The name and the version of the module that has opened it, once one has. */
  module: string | undefined
  /** Why that is not the installed better-sqlite3, where it should have been. */
  passedOver: string | undefined
}

/** An open database, and how many of the extensions it has loaded. */
export class Handle {
  loaded = 0

  constructor(readonly db: Database) {}

  /** SQLite rolls back what is open. */
  kill(): void {
    try {
      this.db.close()
    } catch {
      // Only a statement that runs at this moment can stand in the way, and here none can.
    }
  }
}
