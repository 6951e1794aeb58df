/**
 * A piece of SQL of our own, in the form in which a template takes it.
 */
import * as Statement from "effect/sql/Statement"

export const asFragment = (piece: Statement.Segment): Statement.Fragment => Statement.fragment([piece])
