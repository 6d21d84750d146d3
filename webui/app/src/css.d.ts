// A style sheet imported as text, to be adopted by a chunk.
declare module '*.css' {
  const text: string;
  export default text;
}
