/**
 * The prepared statements of one connection: a bounded cache, and what is known about each statement.
 */
import { isBusy } from "./codes.js"
import type { Database, Statement } from "./moduleContract.js"
import { type Change, type Facts, facts, split } from "./text.js"

const nulMessage = "the statement holds a NUL character"
const severalMessage = "The supplied SQL string contains more than one statement"

/** better-sqlite3 says it in no other way than by the message of a RangeError. */
export const isSeveral = (cause: unknown): boolean => cause instanceof RangeError && cause.message === severalMessage

export const isNone = (cause: unknown): boolean =>
  cause instanceof RangeError && cause.message === "The supplied SQL string contains no statements"

/** A prepared statement of one connection. */
export interface Prepared {
  readonly text: string
  readonly statement: Statement
  /** The first word of the text, in upper case. */
  readonly keyword: string
  /** Gives rows. */
  readonly reader: boolean
  /** Gives rows and changes nothing: it may be run again, and beside an open cursor. */
  readonly reads: boolean
  /** Needs the write lock. */
  readonly writes: boolean
  /** May leave something on the connection. */
  readonly change: Change | undefined
  /** The statement's switches, as they stand now: setting one costs a call into the addon. */
  bigints: boolean
  arrays: boolean
  /** Its integers have to be read as `bigint`: one beyond 2^53 was met, or it cannot be run a second time. */
  exact: boolean
  /** It has a column that better-sqlite3 cannot put into an object: `__proto__`. */
  readonly unnameable: boolean
  /** A cursor runs on it. */
  busy: boolean
  /** Whether the cache keeps it. */
  kept: boolean
  /** Used since the cache last looked for one to drop. */
  recent: boolean
}

const describe = (
  text: string,
  { change, keyword, pragmaWrites }: Facts,
  statement: Statement
): Prepared => {
  const { reader: givesRows } = statement
  // SQLite gives EXPLAIN the nature of what it explains.
  const isReadonly = statement.readonly || keyword === "EXPLAIN"
  const reads = givesRows && isReadonly && change === undefined
  if (!givesRows) {
    // For lastInsertRowid, which `run` otherwise gives as an imprecise number beyond 2^53.
    statement.safeIntegers(true)
  }
  return {
    text,
    statement,
    keyword,
    reader: givesRows,
    reads,
    writes: !isReadonly || pragmaWrites,
    change,
    bigints: !givesRows,
    arrays: false,
    exact: !reads,
    unnameable: givesRows && statement.columns().some(({ name }) => name === "__proto__"),
    busy: false,
    kept: false,
    recent: false
  }
}

/** Prepares, keeps and drops the statements of one connection. */
export class Statements {
  private readonly kept = new Map<string, Prepared>()
  /** The last one, whether kept or not: the engine asks whether a statement writes just before it runs it. */
  private last: Prepared | undefined

  /** `onPragma` is called before a pragma that changes the connection, and may throw to keep it from being run. */
  constructor(
    private readonly db: Database,
    private readonly size: number,
    private readonly onPragma: (change: Change, text: string) => void
  ) {}

  /** Throws what better-sqlite3 throws. */
  get(text: string, mayKeep: boolean): Prepared {
    let prepared = this.find(text)
    if (prepared === undefined) {
      prepared = this.prepare(text)
      if (prepared.keyword === "PRAGMA") {
        return prepared
      }
    }
    this.last = prepared
    prepared.recent = true
    if (mayKeep && !prepared.kept && this.size > 0 && !this.kept.has(text)) {
      this.keep(text, prepared)
    }
    return prepared
  }

  /** One that is prepared already. */
  find(text: string): Prepared | undefined {
    const last = this.last
    if (last !== undefined && last.text === text && !last.busy) {
      return last
    }
    const kept = this.kept.get(text)
    return kept !== undefined && !kept.busy ? kept : undefined
  }

  /**
   * SQLite runs most of a PRAGMA when it is prepared: `foreign_keys = OFF` is done before the first step, and a second
   * run of the same prepared statement would do nothing. So each is prepared for one run, and not for a question about it.
   */
  private prepare(text: string): Prepared {
    if (text.includes("\0")) {
      // SQLite reads a text up to its first NUL, and would run less than was given.
      throw new RangeError(nulMessage)
    }
    const about = facts(text)
    if (about.keyword === "PRAGMA") {
      if (split(text).length > 1) {
        throw new RangeError(severalMessage)
      }
      if (about.change !== undefined) {
        this.onPragma(about.change, text)
      }
    }
    return describe(text, about, this.db.prepare(text))
  }

  /**
   * "Second chance": the oldest that was not used since the last look is dropped. It costs a hit nothing but a flag,
   * where a true LRU costs two changes of the map. SQLite frees a dropped statement when it is collected.
   */
  private keep(text: string, prepared: Prepared): void {
    for (const [oldText, old] of this.kept) {
      if (this.kept.size < this.size) {
        break
      }
      this.kept.delete(oldText)
      if (old.recent) {
        old.recent = false
        this.kept.set(oldText, old)
      } else {
        old.kept = false
      }
    }
    this.kept.set(text, prepared)
    prepared.kept = true
    prepared.recent = false
  }

  /** Whether a text needs the write lock, whatever it is. */
  writes(text: string): boolean {
    try {
      return this.find(text)?.writes ?? this.statementWrites(text)
    } catch (cause) {
      if (!isSeveral(cause)) {
        // A statement that cannot be prepared writes nothing; one that met a lock may.
        return isBusy(cause)
      }
      return split(text).some((one) => {
        try {
          return this.statementWrites(one)
        } catch {
          // It may need what an earlier one creates.
          return true
        }
      })
    }
  }

  private statementWrites(text: string): boolean {
    const { keyword, pragmaWrites } = facts(text)
    if (keyword !== "PRAGMA") {
      return this.get(text, false).writes
    }
    return pragmaWrites || split(text).slice(1).some((one) => this.statementWrites(one))
  }

  clear(): void {
    this.kept.clear()
    this.last = undefined
  }
}

/** Runs the steps one after the other, in a loop: a step that is answered at once must not deepen the stack. */
export const inTurn = <A>(
  steps: ReadonlyArray<A>,
  run: (step: A, answered: () => void) => void,
  end: () => void
): void => {
  let at = 0
  const next = () => {
    while (at < steps.length) {
      let isAnswered = false
      let hasReturned = false
      run(steps[at++]!, () => {
        isAnswered = true
        if (hasReturned) {
          next()
        }
      })
      hasReturned = true
      if (!isAnswered) {
        return
      }
    }
    end()
  }
  next()
}
