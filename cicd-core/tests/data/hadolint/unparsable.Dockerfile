FRM x
