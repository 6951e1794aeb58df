/**
 * The texts of inserts of rows, which depend on little beside their template and are long to build: the last ones are kept.
 */
import type * as Statement from "@effect/sql/Statement"
import { returningOf } from "./template.js"
import { areUniform, keysOf } from "./uniformRows.js"

/**
 * So many texts of one template are kept: those of the sizes in which a program writes, and of a last part that has another size each time.
 * One with 3,000 parameters has 20 KB, one with as many as PostgreSQL takes 500 KB.
 */
const mostTexts = 4

const isInsert = (value: unknown): value is Statement.RecordInsertHelper =>
  typeof value === "object" && value !== null && "_tag" in value && value._tag === "RecordInsertHelper"

/** What the text of an insert depends on beside its template. */
class Shape {
  constructor(
    private readonly keys: ReadonlyArray<string>,
    private readonly rows: number,
    private readonly returning: string | undefined,
    readonly isUntransformed: boolean
  ) {}

  equals({ isUntransformed, keys, returning, rows }: Shape): boolean {
    return rows === this.rows && returning === this.returning && isUntransformed === this.isUntransformed &&
      keys.length === this.keys.length && keys.every((key, i) => key === this.keys[i])
  }
}

/** An insert of rows whose text depends on nothing but its shape. */
export class Insert {
  private constructor(readonly shape: Shape, readonly params: ReadonlyArray<unknown>) {}

  /**
   * `undefined` where the text may depend on more: on another piece of SQL, on rows of different keys.
   *
   * @param place that of the first argument that is not plain
   * @param isPlain whether a value is no piece of SQL
   */
  static of(
    args: ReadonlyArray<unknown>,
    place: number,
    isPlain: (value: unknown) => boolean,
    isUntransformed: boolean
  ): Insert | undefined {
    const helper = args[place]
    if (!isInsert(helper)) {
      return undefined
    }
    const returning = returningOf(helper)
    if (typeof returning === "object") {
      return undefined
    }
    for (let i = place + 1; i < args.length; i++) {
      if (!isPlain(args[i])) {
        return undefined
      }
    }
    try {
      const { value: rows } = helper
      const keys = keysOf(rows[0])
      if (keys === undefined) {
        return undefined
      }
      const behind = place + rows.length * keys.length
      const count = behind + args.length - place - 1
      // A copy where it is short, because V8 soon makes in its old space what is made at one place by `new Array`.
      const params = count > 32 ? new Array<unknown>(count) : args.slice(0, place)
      if (!areUniform(rows, keys, (value) => !isPlain(value), params, place)) {
        return undefined
      }
      for (let i = 0; i < place; i++) {
        params[i] = args[i]
      }
      for (let i = place + 1; i < args.length; i++) {
        params[behind + i - place - 1] = args[i]
      }
      return new Insert(new Shape(keys, rows.length, returning, isUntransformed), params)
    } catch {
      // What cannot be read is read again, and refused, by what looks at the segments.
      return undefined
    }
  }
}

/** An insert with a text that was kept. */
export class CompiledInsert {
  constructor(
    readonly text: string,
    readonly params: ReadonlyArray<unknown>,
    readonly isUntransformed: boolean
  ) {}
}

interface Known {
  readonly shape: Shape
  readonly text: string
}

/** The texts that are kept, by their templates. */
export class InsertTexts {
  /** The text used last comes first. */
  private readonly templates = new WeakMap<TemplateStringsArray, Array<Known>>()

  /** The insert with its text, where one of its shape is kept. */
  find(template: TemplateStringsArray, { params, shape }: Insert): CompiledInsert | undefined {
    const known = this.templates.get(template)
    const found = known?.find((one) => one.shape.equals(shape))
    if (known === undefined || found === undefined) {
      return undefined
    }
    if (found !== known[0]) {
      known.splice(known.indexOf(found), 1)
      known.unshift(found)
    }
    return new CompiledInsert(found.text, params, shape.isUntransformed)
  }

  /** Keeps what an insert was compiled to. */
  keep(
    template: TemplateStringsArray,
    { params, shape }: Insert,
    [text, compiled]: readonly [sql: string, params: ReadonlyArray<unknown>]
  ): void {
    // A compiler may bind other values than those of the rows, or in another order.
    if (params.length !== compiled.length || !params.every((value, i) => Object.is(value, compiled[i]))) {
      return
    }
    const known = this.templates.get(template) ?? []
    if (known.unshift({ shape, text }) > mostTexts) {
      known.pop()
    }
    this.templates.set(template, known)
  }
}
