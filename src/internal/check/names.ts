/**
 * Names of statements, as names of TypeScript.
 */

const reserved = new Set(
  ("arguments await break case catch class const continue debugger default delete do else enum eval export extends false finally for " +
    "function if implements import in instanceof interface let new null package private protected public return static super " +
    "switch this throw true try typeof undefined var void while with yield").split(" ")
)

const identifier = /^[A-Za-z_$][\w$]*$/

/** Whether a name can be written without quotes. */
export const isIdentifier = (name: string): boolean => identifier.test(name)

/** Whether a constant can have the name. */
export const isName = (name: string): boolean => isIdentifier(name) && !reserved.has(name)

/** `find-user` and `find user` as `findUser`; folders are words like others: `users/find.sql` is `usersFind`. */
export const toName = (text: string): string =>
  text.split(/[^A-Za-z0-9_$]+/).filter((word) => word !== "").map((word, i) =>
    (i === 0 ? word.charAt(0).toLowerCase() : word.charAt(0).toUpperCase()) + word.slice(1)
  ).join("")

/** The same as the beginning of a type's name: `FindUser`. */
export const toTypeName = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1)
