/**
 * A piece of SQL of our own, in the form in which a template takes it.
 */
import type * as Statement from "@effect/sql/Statement"

export const asFragment = (piece: Statement.Fragment): Statement.Fragment => piece
