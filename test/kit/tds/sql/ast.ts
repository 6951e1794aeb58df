/**
 * What the parser makes of a batch: statements, queries, expressions.
 *
 * Exports: types only.
 */
import type { IsolationLevel } from "../requests.js"
import type { SqlType } from "../types.js"

/** A name with its schema, where one is given. */
export interface ObjectName {
  readonly schema: string | undefined
  readonly name: string
  readonly line: number
}

export type Expression =
  | { readonly tag: "number"; readonly text: string }
  | { readonly tag: "string"; readonly value: string; readonly unicode: boolean }
  | { readonly tag: "binary"; readonly hex: string }
  | { readonly tag: "null" }
  | { readonly tag: "variable"; readonly name: string; readonly line: number }
  | { readonly tag: "column"; readonly table: string | undefined; readonly name: string; readonly line: number }
  | { readonly tag: "unary"; readonly operator: "-" | "+" | "~"; readonly operand: Expression }
  | {
    readonly tag: "arithmetic"
    readonly operator: string
    readonly left: Expression
    readonly right: Expression
    readonly line: number
  }
  | {
    readonly tag: "cast"
    readonly operand: Expression
    readonly type: SqlType
    readonly trying: boolean
    readonly style: number | undefined
  }
  | {
    readonly tag: "case"
    readonly subject: Expression | undefined
    readonly branches: ReadonlyArray<
      { readonly when: Expression | undefined; readonly condition: Predicate | undefined; readonly then: Expression }
    >
    readonly otherwise: Expression | undefined
  }
  | { readonly tag: "iif"; readonly condition: Predicate; readonly then: Expression; readonly otherwise: Expression }
  | {
    readonly tag: "call"
    readonly name: string
    readonly args: ReadonlyArray<Expression>
    readonly star: boolean
    readonly distinct: boolean
    readonly over: Over | undefined
    readonly line: number
  }
  | { readonly tag: "subquery"; readonly query: Query }

export interface Over {
  readonly partition: ReadonlyArray<Expression>
  readonly order: ReadonlyArray<OrderItem>
}

export type Predicate =
  | { readonly tag: "compare"; readonly operator: string; readonly left: Expression; readonly right: Expression }
  | { readonly tag: "and" | "or"; readonly left: Predicate; readonly right: Predicate }
  | { readonly tag: "not"; readonly operand: Predicate }
  | { readonly tag: "isNull"; readonly operand: Expression; readonly negated: boolean }
  | {
    readonly tag: "in"
    readonly operand: Expression
    readonly list: ReadonlyArray<Expression> | Query
    readonly negated: boolean
  }
  | {
    readonly tag: "between"
    readonly operand: Expression
    readonly low: Expression
    readonly high: Expression
    readonly negated: boolean
  }
  | {
    readonly tag: "like"
    readonly operand: Expression
    readonly pattern: Expression
    readonly escape: Expression | undefined
    readonly negated: boolean
  }
  | { readonly tag: "exists"; readonly query: Query }

export type Source =
  | {
    readonly tag: "table"
    readonly name: ObjectName
    readonly alias: string | undefined
    readonly hints: ReadonlyArray<string>
  }
  | {
    readonly tag: "derived"
    readonly query: Query
    readonly alias: string
    readonly columns: ReadonlyArray<string> | undefined
  }
  | {
    readonly tag: "values"
    readonly rows: ReadonlyArray<ReadonlyArray<Expression>>
    readonly alias: string
    readonly columns: ReadonlyArray<string>
  }
  | {
    readonly tag: "join"
    readonly kind: "INNER" | "LEFT" | "CROSS"
    readonly left: Source
    readonly right: Source
    readonly on: Predicate | undefined
  }

export type SelectItem =
  | { readonly tag: "star"; readonly table: string | undefined }
  | { readonly tag: "expression"; readonly expression: Expression; readonly alias: string | undefined }
  | { readonly tag: "assign"; readonly variable: string; readonly expression: Expression; readonly line: number }

export interface OrderItem {
  readonly expression: Expression
  readonly descending: boolean
}

export interface Select {
  readonly tag: "select"
  readonly distinct: boolean
  readonly top: Expression | undefined
  readonly items: ReadonlyArray<SelectItem>
  readonly into: ObjectName | undefined
  readonly from: Source | undefined
  readonly where: Predicate | undefined
  readonly groupBy: ReadonlyArray<Expression>
  readonly having: Predicate | undefined
  readonly line: number
}

export interface SetOperation {
  readonly tag: "union"
  readonly operator: "UNION" | "UNION ALL" | "EXCEPT" | "INTERSECT"
  readonly left: Select | SetOperation
  readonly right: Select | SetOperation
}

export interface Query {
  readonly with: ReadonlyArray<
    { readonly name: string; readonly columns: ReadonlyArray<string> | undefined; readonly query: Query }
  >
  readonly body: Select | SetOperation
  readonly order: ReadonlyArray<OrderItem>
  readonly offset: Expression | undefined
  readonly fetch: Expression | undefined
}

export interface ColumnDefinition {
  readonly name: string
  readonly type: SqlType
  readonly nullable: boolean | undefined
  readonly identity: { readonly seed: bigint; readonly step: bigint } | undefined
  readonly default: string | undefined
}

export type ConstraintDefinition =
  | {
    readonly tag: "key"
    readonly name: string | undefined
    readonly primary: boolean
    readonly columns: ReadonlyArray<string>
  }
  | { readonly tag: "check"; readonly name: string | undefined; readonly text: string }
  | {
    readonly tag: "foreign"
    readonly name: string | undefined
    readonly columns: ReadonlyArray<string>
    readonly table: ObjectName
    readonly references: ReadonlyArray<string>
    readonly cascade: boolean
  }

export type Statement =
  & { readonly line: number }
  & (
    | { readonly tag: "query"; readonly query: Query }
    | {
      readonly tag: "insert"
      readonly table: ObjectName
      readonly columns: ReadonlyArray<string> | undefined
      readonly output: ReadonlyArray<SelectItem> | undefined
      readonly source: { readonly tag: "rows"; readonly rows: ReadonlyArray<ReadonlyArray<Expression | undefined>> } | {
        readonly tag: "query"
        readonly query: Query
      } | { readonly tag: "defaults" }
    }
    | {
      readonly tag: "update"
      readonly target: ObjectName
      readonly assignments: ReadonlyArray<{ readonly column: string; readonly value: Expression | undefined }>
      readonly output: ReadonlyArray<SelectItem> | undefined
      readonly from: Source | undefined
      readonly where: Predicate | undefined
    }
    | {
      readonly tag: "delete"
      readonly target: ObjectName
      readonly output: ReadonlyArray<SelectItem> | undefined
      readonly where: Predicate | undefined
    }
    | { readonly tag: "truncate"; readonly table: ObjectName }
    | {
      readonly tag: "createTable"
      readonly table: ObjectName
      readonly columns: ReadonlyArray<ColumnDefinition>
      readonly constraints: ReadonlyArray<ConstraintDefinition>
    }
    | {
      readonly tag: "alterTable"
      readonly table: ObjectName
      readonly change:
        | {
          readonly tag: "add"
          readonly columns: ReadonlyArray<ColumnDefinition>
          readonly constraints: ReadonlyArray<ConstraintDefinition>
        }
        | { readonly tag: "dropColumn"; readonly name: string }
        | { readonly tag: "dropConstraint"; readonly name: string }
    }
    | { readonly tag: "dropTable"; readonly tables: ReadonlyArray<ObjectName>; readonly ifExists: boolean }
    | {
      readonly tag: "createIndex"
      readonly unique: boolean
      readonly name: string
      readonly table: ObjectName
      readonly columns: ReadonlyArray<string>
    }
    | { readonly tag: "dropIndex"; readonly name: string; readonly table: ObjectName; readonly ifExists: boolean }
    | { readonly tag: "createSchema"; readonly name: string }
    | { readonly tag: "createDatabase" | "dropDatabase"; readonly name: string }
    /** `alone`: the other sessions in it are ended. */
    | { readonly tag: "alterDatabase"; readonly name: string; readonly alone: boolean }
    | {
      readonly tag: "permission"
      readonly verb: "GRANT" | "DENY" | "REVOKE"
      readonly actions: ReadonlyArray<string>
      readonly table: ObjectName
      readonly user: string
    }
    | { readonly tag: "begin" | "commit" | "rollback" | "save"; readonly name: string | undefined }
    | { readonly tag: "setIsolation"; readonly level: IsolationLevel }
    | { readonly tag: "setOption"; readonly options: ReadonlyArray<string>; readonly value: string }
    | { readonly tag: "setIdentityInsert"; readonly table: ObjectName; readonly on: boolean }
    | {
      readonly tag: "declare"
      readonly variables: ReadonlyArray<
        { readonly name: string; readonly type: SqlType; readonly value: Expression | undefined }
      >
    }
    | { readonly tag: "setVariable"; readonly name: string; readonly value: Expression }
    | {
      readonly tag: "if"
      readonly condition: Predicate
      readonly then: Statement
      readonly otherwise: Statement | undefined
    }
    | { readonly tag: "while"; readonly condition: Predicate; readonly body: Statement }
    | { readonly tag: "block"; readonly body: ReadonlyArray<Statement> }
    | { readonly tag: "try"; readonly body: ReadonlyArray<Statement>; readonly handler: ReadonlyArray<Statement> }
    | { readonly tag: "break" | "continue" | "return" }
    | { readonly tag: "print"; readonly value: Expression }
    | {
      readonly tag: "raiserror"
      readonly message: Expression
      readonly severity: Expression
      readonly state: Expression
    }
    | { readonly tag: "throw"; readonly args: readonly [Expression, Expression, Expression] | undefined }
    | { readonly tag: "waitfor"; readonly delay: Expression }
    | { readonly tag: "use"; readonly database: string }
    | { readonly tag: "kill"; readonly spid: Expression }
    | {
      readonly tag: "execute"
      readonly procedure: string
      readonly args: ReadonlyArray<
        { readonly name: string | undefined; readonly value: Expression; readonly output: string | undefined }
      >
      readonly into: string | undefined
    }
  )
