/** What a mock is told to expect, and what came of it. */
import * as Equal from "effect/Equal"
import * as Utils from "effect/Utils"
import type { DbError, QueryReason } from "../../DbError.js"

/**
 * A statement as a mock sees it.
 *
 * @since 0.1.0
 * @category models
 */
export interface MockStatement {
  readonly text: string
  readonly params: ReadonlyArray<unknown>
}

/**
 * What a mock answers: rows, the number of affected rows, or an error; an error of the database may be given by its
 * reason.
 *
 * @since 0.1.0
 * @category models
 */
export interface MockAnswer {
  /** Defaults to none. */
  readonly rows?: ReadonlyArray<Readonly<Record<string, unknown>>> | undefined
  /** Rows written, for `execute` and `raw`. Defaults to the number of `rows`; to 0 for a SELECT of `execute`. */
  readonly affected?: number | undefined
  /** The key of an inserted row, for `execute`. Defaults to none. */
  readonly lastInsertId?: number | bigint | undefined
  readonly error?:
    | DbError
    | {
      readonly reason: QueryReason
      readonly code?: string
      readonly constraint?: string
      readonly table?: string
      readonly column?: string
    }
    | undefined
}

/**
 * A statement that is expected, and its answer.
 *
 * @since 0.1.0
 * @category models
 */
export interface Expectation extends MockAnswer {
  /** Its whole text (white space does not count), a pattern, or a function. */
  readonly statement: string | RegExp | ((statement: MockStatement) => boolean)
  /** Its parameters. Defaults to any. */
  readonly params?: ReadonlyArray<unknown> | undefined
  /** What is answered, where that depends on the statement. Defaults to `rows`, `affected` and `error`. */
  readonly answer?: ((statement: MockStatement) => MockAnswer) | undefined
  /**
   * How often it is expected: it is answered so many times, and a test that ends before fails. Defaults to any number of
   * times, none among them.
   */
  readonly times?: number | undefined
}

const squeeze = (text: string): string => text.replace(/\s+/g, " ").trim()

const describe = (statement: Expectation["statement"]): string =>
  typeof statement === "string"
    ? squeeze(statement)
    : typeof statement === "function"
    ? "(a function)"
    : String(statement)

const often = (times: number): string => times === 0 ? "never" : times === 1 ? "once" : `${times} times`

const isEqual = (a: ReadonlyArray<unknown>, b: ReadonlyArray<unknown>): boolean =>
  a.length === b.length && a.every((value, i) => Utils.structuralRegion(() => Equal.equals(value, b[i])))

/** The expectations of one mock, and what came of them. */
export class Script {
  private readonly counts = new Map<Expectation, number>()
  readonly unexpected: Array<string> = []

  constructor(private readonly expectations: ReadonlyArray<Expectation>) {}

  /** The answer to a statement, or what is said where none was expected. */
  take(statement: MockStatement): MockAnswer | string {
    for (const expectation of this.expectations) {
      const count = this.counts.get(expectation) ?? 0
      if (count < (expectation.times ?? Infinity) && this.isMatch(expectation, statement)) {
        this.counts.set(expectation, count + 1)
        return expectation.answer?.(statement) ?? expectation
      }
    }
    const message = this.describe(statement)
    this.unexpected.push(message)
    return message
  }

  private isTextMatch({ statement }: Expectation, given: MockStatement): boolean {
    return typeof statement === "string"
      ? squeeze(statement) === squeeze(given.text)
      : typeof statement === "function"
      ? statement(given)
      : new RegExp(statement.source, statement.flags.replace(/[gy]/g, "")).test(given.text)
  }

  private isMatch(expectation: Expectation, given: MockStatement): boolean {
    return this.isTextMatch(expectation, given) &&
      (expectation.params === undefined || isEqual(expectation.params, given.params))
  }

  private describe(statement: MockStatement): string {
    const list = this.expectations.map((expectation) => {
      const { times } = expectation
      const isUsedUp = times !== undefined && (this.counts.get(expectation) ?? 0) >= times
      const why = isUsedUp
        ? ` (was expected ${often(times)}, and came so often already)`
        : this.isTextMatch(expectation, statement)
        ? " (with other parameters)"
        : ""
      return `  ${describe(expectation.statement)}${why}`
    })
    return `unexpected statement:\n  ${squeeze(statement.text)}\nexpected ${
      list.length === 0 ? "none" : `one of:\n${list.join("\n")}`
    }`
  }

  get missing(): ReadonlyArray<string> {
    return this.expectations.flatMap((expectation) => {
      const count = this.counts.get(expectation) ?? 0
      return expectation.times === undefined || count >= expectation.times
        ? []
        : [`expected ${often(expectation.times)}, came ${often(count)}:\n  ${describe(expectation.statement)}`]
    })
  }
}
