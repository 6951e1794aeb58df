/**
 * The file of a database, watched: a connection keeps the file open that it has opened, whatever happens to the name, and
 * would go on writing where no other program looks.
 */
import * as Fs from "node:fs"
import { connectionFault, type Fault } from "./codes.js"

/** What tells one file from another. While a connection has it open, the system gives this to no other file. */
interface Identity {
  readonly dev: bigint
  readonly ino: bigint
  readonly size: bigint
}

/** A connection that has the file open. */
export interface Holder {
  /** The file that it has open is no longer the database's: nothing more may be sent on it. */
  readonly forfeit: (fault: Fault) => void
}

/** `null`: there is no such file; `undefined`: it cannot be known. */
const identityOf = (path: string): Identity | null | undefined => {
  try {
    return Fs.statSync(path, { bigint: true, throwIfNoEntry: false }) ?? null
  } catch {
    // A folder that may not be looked into any more says nothing of the file.
    return undefined
  }
}

const isSame = (one: Identity | null, other: Identity): boolean =>
  one !== null && one.ino === other.ino && one.dev === other.dev

/** What has become of a file; `undefined`: it is the same. SQLite never makes a file empty that has had a page. */
const fate = (now: Identity | null, before: Identity): "removed" | "replaced" | "emptied" | undefined =>
  now === null
    ? "removed"
    : !isSame(now, before)
    ? "replaced"
    : now.size === 0n && before.size > 0n
    ? "emptied"
    : undefined

const lost = (database: string, what: string, advice: string): Fault =>
  connectionFault({ database }, { reason: "Lost", outcome: "NotSent", what, advice })

/** The file of one database, and the connections that have it open. Of a database in memory it knows nothing. */
export class DatabaseFile {
  private readonly holders = new Set<Holder>()
  private identity: Identity | undefined
  /** Whether it has been there: then it is not created another time, as an empty one in the place of the lost one. */
  existed = false

  constructor(private readonly database: string, private readonly filename: string) {}

  private get isWatched(): boolean {
    return this.filename !== ":memory:"
  }

  /** To be called when a connection has been opened. One that has another file open than those before it replaces them. */
  join(holder: Holder): void {
    if (!this.isWatched) {
      return
    }
    this.existed = true
    const now = identityOf(this.filename) ?? undefined
    const change = this.identity !== undefined && now !== undefined ? fate(now, this.identity) : undefined
    if (change !== undefined) {
      this.forfeit(this.changed(change))
    }
    this.identity = now ?? this.identity
    this.holders.add(holder)
  }

  leave(holder: Holder): void {
    this.holders.delete(holder)
    if (this.holders.size === 0) {
      this.identity = undefined
    }
  }

  /** Whether it is still the file that the connections have open. When it is not, all of them are lost. */
  check(): Fault | undefined {
    const { identity } = this
    const now = identity === undefined ? undefined : identityOf(this.filename)
    const change = identity === undefined || now === undefined ? undefined : fate(now, identity)
    if (change === undefined) {
      // The size that it has grown to.
      this.identity = now ?? identity
      return undefined
    }
    const fault = this.changed(change)
    this.forfeit(fault)
    return fault
  }

  private changed(change: string): Fault {
    return lost(
      this.database,
      `the file ${this.filename} was ${change} while it was open`,
      "what was written since then is not in the file of that name, which a new connection opens"
    )
  }

  /** All connections are lost. */
  forfeit(fault: Fault): void {
    const holders = [...this.holders]
    this.holders.clear()
    this.identity = undefined
    for (const holder of holders) {
      holder.forfeit(fault)
    }
  }
}

/** The write-ahead log of one connection. SQLite finds it by the real name of the database's file. */
export class WriteAheadLog {
  private readonly path: string | undefined
  private identity: Identity | undefined

  constructor(private readonly database: string, filename: string) {
    try {
      this.path = filename === ":memory:" ? undefined : `${Fs.realpathSync(filename)}-wal`
    } catch {
      // It is gone already, which the check of the file itself finds.
      this.path = undefined
    }
    this.look(() => false)
  }

  /** `isUsed`: whether the connection is in WAL mode; one that has left it has removed the log itself. */
  check(isUsed: () => boolean): Fault | undefined {
    return this.look(isUsed)
      ? lost(
        this.database,
        `the file ${this.path} was removed or replaced while it was open`,
        "stop every program that has the database open before its files are changed"
      )
      : undefined
  }

  private look(isUsed: () => boolean): boolean {
    const { identity } = this
    const now = this.path === undefined ? undefined : identityOf(this.path)
    if (now === undefined || (identity !== undefined && isSame(now, identity))) {
      return false
    }
    if (identity !== undefined && isUsed()) {
      return true
    }
    this.identity = now ?? undefined
    return false
  }
}
