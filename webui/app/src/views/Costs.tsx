export function CostsView() {
  return <h1 tabIndex={-1}>Costs</h1>;
}
