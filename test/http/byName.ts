/** What a client of the API's group asks for: the database of a name, or all. */
export const byName = (name?: string) => ({ urlParams: name === undefined ? {} : { name } })
