/**
 * The helpers of a template that `@effect/sql` builds as soon as they are called, and that fail there, where no error can be
 * given, for what plain JavaScript or a cast lets through. Here the statement that holds such a helper is refused.
 */
import * as Statement from "@effect/sql/Statement"
import { asFragment } from "./fragment.js"

/** Why a template cannot be compiled: what is wrong, where, and what to do. */
export class Problem {
  constructor(readonly what: string) {}
}

const kind = "DbliveProblem"

const custom = Statement.custom<Statement.Custom<typeof kind, Problem, undefined, undefined>>(kind)

/** A piece of SQL that cannot be compiled. */
export const faulty = (what: string): Statement.Fragment => asFragment(custom(new Problem(what), undefined, undefined))

/** Why a piece cannot be compiled, where {@link faulty} made it. */
export const problemIn = (segment: Statement.Segment): Problem | undefined => {
  const held: unknown = segment._tag === "Custom" && segment.kind === kind ? segment.i0 : undefined
  return held instanceof Problem ? held : undefined
}

/** What kind of value it is: never the value, which may be a secret. */
const named = (value: unknown, isHelper: (value: object) => boolean): string => {
  if (value === undefined || value === null) return String(value)
  if (Array.isArray(value)) return "an array"
  if (typeof value !== "object") return `a ${typeof value}`
  return isHelper(value) ? "a helper alone" : "an object"
}

type Helpers = Pick<
  Statement.Constructor,
  "and" | "or" | "csv" | "join" | "in" | "literal" | "insert" | "update" | "updateValues"
>

type Row = Record<string, unknown>

/** What `returning` takes. */
type Returned = string | Statement.Identifier | Statement.Fragment

const isReturned = (what: unknown): what is Returned =>
  typeof what === "string" || Statement.isFragment(what) ||
  (typeof what === "object" && what !== null && "_tag" in what && what._tag === "Identifier")

/** The helpers of `base`, which say in the statement what they cannot be made of. */
export const checked = (base: Statement.Constructor, isHelper: (value: object) => boolean): Helpers => {
  const notText = (helper: string, value: unknown, place: string): Statement.Fragment | undefined =>
    typeof value === "string" ? undefined : faulty(
      `${helper} was given ${named(value, isHelper)} as its ${place}, which is text`
    )
  const notPieces = (helper: string, items: unknown): Statement.Fragment | undefined => {
    if (!Array.isArray(items)) {
      return faulty(`${helper} was given what is no array`)
    }
    for (let i = 0; i < items.length; i++) {
      const item: unknown = items[i]
      if (typeof item !== "string" && !Statement.isFragment(item)) {
        return faulty(
          `${helper} was given ${named(item, isHelper)} as item ${
            i + 1
          } of its list, which holds texts and pieces of ` +
            "SQL: leave out what is not there, and write others as sql`${...}`"
        )
      }
    }
    return undefined
  }
  /** The helper, whose `returning` says in the statement what it cannot give. */
  const withReturning = <Helper extends { returning(what: Returned): unknown }>(helper: Helper): Helper => {
    const { returning } = helper
    return Object.defineProperty(helper, "returning", {
      value: (what: unknown) =>
        returning.call(
          helper,
          isReturned(what) ? what : faulty(
            `returning was given ${named(what, isHelper)}, and takes a text, a column or a piece of SQL`
          )
        )
    })
  }
  const joined = (helper: string, join: (items: ReadonlyArray<string | Statement.Fragment>) => Statement.Fragment) =>
  (
    items: ReadonlyArray<string | Statement.Fragment>
  ): Statement.Fragment => notPieces(helper, items) ?? join(items)
  return {
    and: joined("sql.and", base.and),
    or: joined("sql.or", base.or),
    join: (separator, needsParens, fallback) => {
      const join = joined("sql.join", base.join(separator, needsParens, fallback))
      return (items) => notText("sql.join", separator, "separator") ?? join(items)
    },
    csv: (
      ...args:
        | [items: ReadonlyArray<string | Statement.Fragment>]
        | [prefix: string, items: ReadonlyArray<string | Statement.Fragment>]
    ): Statement.Fragment => {
      if (args.length < 2) {
        const [items] = args as [ReadonlyArray<string | Statement.Fragment>]
        return notPieces("sql.csv", items) ?? base.csv(items)
      }
      const [prefix, items] = args as [string, ReadonlyArray<string | Statement.Fragment>]
      return notPieces("sql.csv", items) ??
        (items.length === 0 ? undefined : notText("sql.csv", prefix, "first argument")) ??
        base.csv(prefix, items)
    },
    // Two overloads, which differ in what they give.
    in: ((...args: [values: ReadonlyArray<unknown>] | [column: string, values: ReadonlyArray<unknown>]) => {
      if (args.length === 1) {
        return base.in(args[0])
      }
      const [column, values] = args
      return Array.isArray(values)
        ? (values.length === 0 ? undefined : notText("sql.in", column, "first argument")) ?? base.in(column, values)
        : faulty("sql.in was given what is no array")
    }) as Statement.Constructor["in"],
    literal: (text) => notText("sql.literal", text, "argument") ?? base.literal(text),
    // A list and a single row are two overloads of one function: either may be given.
    insert: (value: Row | ReadonlyArray<Row>) => withReturning(base.insert(value as Row)),
    update: (value, omit) => withReturning(base.update(value, omit)),
    updateValues: (value, alias) => withReturning(base.updateValues(value, alias))
  }
}
